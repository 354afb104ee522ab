//! Who is signalled, and who never is.
