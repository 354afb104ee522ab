//! Which region of the screen shows what. Updates and views ask the same function, so that a page down moves by what is
//! on the screen.

use ratatui::Frame;
use ratatui::layout::Constraint::{Fill, Length};
use ratatui::layout::{Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders};

use crate::tui::app::{App, Page};
use crate::tui::theme;

/// Columns and rows of the smallest screen.
pub(super) const SMALLEST: (u16, u16) = (40, 8);

/// From this many columns on the events stand beside the detail.
const WIDE: u16 = 140;
/// From this many columns on detail and events stand beside the table.
const VERY_WIDE: u16 = 190;

/// The regions of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Regions {
    /// The one or two lines about all services.
    pub(crate) header: Rect,
    pub(crate) services: Option<Rect>,
    pub(crate) detail: Option<Rect>,
    pub(crate) events: Option<Rect>,
    pub(crate) footer: Rect,
}

impl Regions {
    /// Returns the regions of a screen of this size with this many services to show; `None` where it is too small.
    pub(crate) fn new(area: Rect, page: Page, panes: bool, rows: usize) -> Option<Self> {
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            return None;
        }
        let (header, rest) = top(area, if area.height < 14 { 1 } else { 2 });
        let (body, footer) = top(rest, rest.height - 1);
        let (services, detail, events) = match page {
            Page::Detail => (None, Some(body), None),
            Page::Events => (None, None, Some(body)),
            Page::Fleet if !panes || body.height < 12 => (Some(body), None, None),
            Page::Fleet if area.width >= VERY_WIDE => {
                let (services, side) = left(body, body.width - 90);
                let (detail, events) = top(side, side.height * 2 / 3);
                (Some(services), Some(detail), Some(events))
            }
            Page::Fleet => {
                let rows = u16::try_from(rows).unwrap_or(u16::MAX);
                let wanted = rows.saturating_add(1).max(3);
                let (services, below) = top(body, wanted.min(body.height * 9 / 20));
                let (detail, events) = if area.width >= WIDE {
                    left(below, below.width * 5 / 8)
                } else {
                    top(below, below.height - (body.height / 5).clamp(3, 12))
                };
                (Some(services), Some(detail), Some(events))
            }
        };
        Some(Self {
            header,
            services,
            detail,
            events,
            footer,
        })
    }

    /// Returns everything between header and footer.
    pub(crate) fn body(&self) -> Rect {
        let y = self.header.bottom();
        let height = self.footer.y.saturating_sub(y);
        Rect {
            y,
            height,
            ..self.header
        }
    }

    /// Returns the number of services on the screen.
    pub(crate) fn service_rows(&self) -> usize {
        self.services.map_or(0, inner_rows)
    }

    /// Returns the lines of the detail below its title.
    pub(crate) fn detail_rows(&self) -> usize {
        self.detail.map_or(0, inner_rows)
    }

    /// Returns the lines of the events below their title.
    pub(crate) fn event_rows(&self) -> usize {
        self.events.map_or(0, inner_rows)
    }

    /// Returns the lines of the help below its title.
    pub(crate) fn help_rows(&self) -> usize {
        inner_rows(self.body())
    }
}

/// Returns the regions of a screen of this size; `None` where it is too small for anything.
pub(crate) fn regions(app: &App, area: Rect) -> Option<Regions> {
    Regions::new(area, app.page, app.panes, app.list.len())
}

/// Draws a rule across the top of a pane with a title at its left and one at its right. Returns the area below it.
pub(super) fn pane(area: Rect, left: Line<'_>, right: Line<'_>, frame: &mut Frame<'_>) -> Rect {
    let block = Block::new()
        .borders(Borders::TOP)
        .border_style(theme::quiet())
        // The rule is faint, its titles are not.
        .title_style(Style::new().remove_modifier(Modifier::DIM))
        .title(left.left_aligned())
        .title(right.right_aligned());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

/// Returns which of `total` lines are on the screen, for a title: ` 3-12 of 40 `.
pub(super) fn position(top: usize, rows: usize, total: usize) -> String {
    format!(" {}-{} of {total} ", top + 1, (top + rows).min(total))
}

fn inner_rows(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(1))
}

fn top(area: Rect, height: u16) -> (Rect, Rect) {
    let [above, below] = Layout::vertical([Length(height), Fill(1)]).areas(area);
    (above, below)
}

fn left(area: Rect, width: u16) -> (Rect, Rect) {
    let [left, right] = Layout::horizontal([Length(width), Fill(1)]).areas(area);
    (left, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_the_screen_and_never_overlap() {
        for width in (0..260).step_by(7) {
            for height in 0..80 {
                for page in [Page::Fleet, Page::Detail, Page::Events] {
                    for (panes, rows) in [(true, 0), (true, 4), (true, 1_000), (false, 4)] {
                        let area = Rect::new(0, 0, width, height);
                        let Some(regions) = Regions::new(area, page, panes, rows) else {
                            assert!(width < SMALLEST.0 || height < SMALLEST.1);
                            continue;
                        };
                        let parts = [regions.services, regions.detail, regions.events];
                        let mut parts: Vec<Rect> = parts.into_iter().flatten().collect();
                        parts.extend([regions.header, regions.footer]);
                        let covered: u32 = parts.iter().map(|part| part.area()).sum();
                        assert_eq!(covered, area.area(), "{width}x{height} {page:?} {parts:?}");
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
        let regions = Regions::new(Rect::new(0, 0, 80, 24), Page::Fleet, true, 1_000).unwrap();
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
