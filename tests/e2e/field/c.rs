//! States: what a service is called, and from when on.
