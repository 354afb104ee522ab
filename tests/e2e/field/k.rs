//! Services as developers of Java, Go and Node run them.
