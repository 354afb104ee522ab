//! Text that every module writes or reads in the same way: cleaned foreign text, the nearest name, durations, sizes,
//! widths of a terminal, tables.
//!
//! Pure, and below every other module: nothing here knows a service, YAML or a terminal's state.

mod clean;
mod duration;
mod nearest;
mod size;
mod table;
mod width;

pub use clean::{Colors, clean, clean_line, is_hidden, shorten, visible};
pub use duration::{
    SHORT_WIDTH, ago, approximate_duration, format_duration, is_duration, long_age, long_latency,
    parse_duration, short_age, short_latency,
};
pub use nearest::nearest;
pub use size::{format_size, long_size, parse_size, short_count};
pub use table::{Cell, Color, TextTable};
pub use width::{cut, cut_middle, width, wrap};
