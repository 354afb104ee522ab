//! Old code: which process runs code that has changed since.
