//! Where things stand. Update and views ask the same function, so that a page down moves by what is on the screen.

use ratatui::layout::Rect;

use crate::tui::app::Screen;

/// Fewer columns than this are too few.
pub(super) const MIN_WIDTH: u16 = 40;
/// Fewer rows than this are too few.
pub(super) const MIN_HEIGHT: u16 = 8;

/// From here on the events stand beside the detail.
const WIDE: u16 = 140;
/// From here on detail and events stand beside the table.
const VERY_WIDE: u16 = 190;

/// The parts of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Regions {
    /// The fleet in one or two lines.
    pub(crate) header: Rect,
    /// The table.
    pub(crate) services: Option<Rect>,
    /// The selected service.
    pub(crate) detail: Option<Rect>,
    /// What happened.
    pub(crate) events: Option<Rect>,
    /// The keys.
    pub(crate) footer: Rect,
}

impl Regions {
    /// The parts for a screen of this size with this many rows to show; `None` where it is too small.
    pub(crate) fn new(area: Rect, screen: Screen, panes: bool, rows: usize) -> Option<Self> {
        if area.width < MIN_WIDTH || area.height < MIN_HEIGHT {
            return None;
        }
        let (header, rest) = top(area, if area.height < 14 { 1 } else { 2 });
        let (body, footer) = top(rest, rest.height - 1);
        let mut regions = Self {
            header,
            services: None,
            detail: None,
            events: None,
            footer,
        };
        match screen {
            Screen::Detail => regions.detail = Some(body),
            Screen::Events => regions.events = Some(body),
            Screen::Fleet if !panes || body.height < 12 => regions.services = Some(body),
            Screen::Fleet if area.width >= VERY_WIDE => {
                let (services, side) = left(body, body.width - 90);
                let (detail, events) = top(side, side.height * 2 / 3);
                regions.services = Some(services);
                regions.detail = Some(detail);
                regions.events = Some(events);
            }
            Screen::Fleet => {
                let wanted = u16::try_from(rows)
                    .unwrap_or(u16::MAX)
                    .saturating_add(1)
                    .max(3);
                let (services, below) = top(body, wanted.min(body.height * 9 / 20));
                let (detail, events) = if area.width >= WIDE {
                    left(below, below.width * 5 / 8)
                } else {
                    top(below, below.height - (body.height / 5).clamp(3, 12))
                };
                regions.services = Some(services);
                regions.detail = Some(detail);
                regions.events = Some(events);
            }
        }
        Some(regions)
    }

    /// Everything between header and footer.
    pub(crate) fn body(&self) -> Rect {
        let y = self.header.bottom();
        Rect::new(
            self.header.x,
            y,
            self.header.width,
            self.footer.y.saturating_sub(y),
        )
    }

    /// Rows of the table, its titles left out.
    pub(crate) fn service_rows(&self) -> usize {
        self.services.map_or(0, inner_rows)
    }

    /// Lines of the detail, its title left out.
    pub(crate) fn detail_rows(&self) -> usize {
        self.detail.map_or(0, inner_rows)
    }

    /// Lines of the events, their title left out.
    pub(crate) fn event_rows(&self) -> usize {
        self.events.map_or(0, inner_rows)
    }

    /// Lines of the help, its title left out.
    pub(crate) fn help_rows(&self) -> usize {
        inner_rows(self.body())
    }
}

fn inner_rows(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(1))
}

fn top(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    (
        Rect { height, ..area },
        Rect {
            y: area.y + height,
            height: area.height - height,
            ..area
        },
    )
}

fn left(area: Rect, width: u16) -> (Rect, Rect) {
    let width = width.min(area.width);
    (
        Rect { width, ..area },
        Rect {
            x: area.x + width,
            width: area.width - width,
            ..area
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_the_screen_and_never_overlap() {
        for width in (0..260).step_by(7) {
            for height in 0..80 {
                for screen in [Screen::Fleet, Screen::Detail, Screen::Events] {
                    for (panes, rows) in [(true, 0), (true, 4), (true, 1_000), (false, 4)] {
                        let area = Rect::new(0, 0, width, height);
                        let Some(regions) = Regions::new(area, screen, panes, rows) else {
                            assert!(width < MIN_WIDTH || height < MIN_HEIGHT);
                            continue;
                        };
                        let parts = [regions.services, regions.detail, regions.events];
                        let mut parts: Vec<Rect> = parts.into_iter().flatten().collect();
                        parts.extend([regions.header, regions.footer]);
                        let covered: u32 = parts.iter().map(|part| part.area()).sum();
                        assert_eq!(
                            covered,
                            area.area(),
                            "{width}x{height} {screen:?} {parts:?}"
                        );
                        for (n, part) in parts.iter().enumerate() {
                            assert!(
                                parts
                                    .iter()
                                    .skip(n + 1)
                                    .all(|other| !part.intersects(*other))
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn at_80x24_all_panes_have_room() {
        let regions = Regions::new(Rect::new(0, 0, 80, 24), Screen::Fleet, true, 1_000).unwrap();
        assert_eq!(
            (
                regions.service_rows(),
                regions.detail_rows(),
                regions.event_rows()
            ),
            (8, 7, 3)
        );
    }
}
