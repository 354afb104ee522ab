//! When to ask: schedule, caps, and the one owner of all trackers; tells [`Event`](crate::event::Event)s.
//!
//! Must not print, act on a service or know a face.
