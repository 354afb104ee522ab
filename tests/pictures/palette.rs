//! The colours of the pictures.

use std::fmt;

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rgb(u8, u8, u8);

/// What a terminal's cells lie on.
pub(crate) const BACKGROUND: Rgb = Rgb(0x16, 0x18, 0x21);
/// Text that has no colour of its own.
const FOREGROUND: Rgb = Rgb(0xd5, 0xd8, 0xe0);
/// The title of the window.
pub(crate) const TITLE: Rgb = Rgb(0x8a, 0x90, 0xa2);

const SIXTEEN: [Rgb; 16] = [
    Rgb(0x16, 0x18, 0x21),
    Rgb(0xd0, 0x45, 0x4c),
    Rgb(0x6c, 0xb3, 0x5e),
    Rgb(0xe0, 0xaf, 0x3c),
    Rgb(0x3f, 0x74, 0xc9),
    Rgb(0xb5, 0x78, 0xd8),
    Rgb(0x3f, 0xb0, 0xb5),
    Rgb(0xd5, 0xd8, 0xe0),
    Rgb(0x6a, 0x70, 0x82),
    Rgb(0xf0, 0x6a, 0x70),
    Rgb(0x8f, 0xd0, 0x80),
    Rgb(0xf2, 0xc9, 0x66),
    Rgb(0x6f, 0x9d, 0xe8),
    Rgb(0xcf, 0x9c, 0xec),
    Rgb(0x6b, 0xd0, 0xd5),
    Rgb(0xff, 0xff, 0xff),
];

impl Rgb {
    /// Half way to another colour, a little nearer to this one.
    pub(crate) fn mixed(self, other: Self) -> Self {
        let mix =
            |a: u8, b: u8| u8::try_from((u16::from(a) * 3 + u16::from(b) * 2) / 5).unwrap_or(a);
        Self(
            mix(self.0, other.0),
            mix(self.1, other.1),
            mix(self.2, other.2),
        )
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// The colour of text.
pub(crate) fn foreground(color: vt100::Color) -> Rgb {
    rgb(color).unwrap_or(FOREGROUND)
}

/// The colour behind text.
pub(crate) fn background(color: vt100::Color) -> Rgb {
    rgb(color).unwrap_or(BACKGROUND)
}

fn rgb(color: vt100::Color) -> Option<Rgb> {
    match color {
        vt100::Color::Default => None,
        vt100::Color::Rgb(r, g, b) => Some(Rgb(r, g, b)),
        vt100::Color::Idx(n @ 0..16) => SIXTEEN.get(usize::from(n)).copied(),
        vt100::Color::Idx(n @ 16..232) => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
            let n = n - 16;
            Some(Rgb(level(n / 36), level(n / 6 % 6), level(n % 6)))
        }
        vt100::Color::Idx(n) => {
            let grey = 8 + 10 * (n - 232);
            Some(Rgb(grey, grey, grey))
        }
    }
}
