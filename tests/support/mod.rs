//! Shared by the tests: the binary, fake services, a pseudo-terminal.
