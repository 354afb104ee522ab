//! Carries out an action plan: send, signal, watch, compare, audit; tells [`Event`](crate::event::Event)s.
//!
//! Must not use the engine: a proof rests on its own looks.
