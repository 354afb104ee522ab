//! What real programs, terminals and habits have shown, a test each. The letter and number in front of a name group them.

mod a;
mod b;
mod c;
mod d;
mod exits;
mod g;
mod i;
mod k;
