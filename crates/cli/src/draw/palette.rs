//! The colours, light and dark.

use clap::ValueEnum;

/// For which background a picture is drawn.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// Light, and dark where the reader's browser asks for it.
    #[default]
    Auto,
    /// Dark on white.
    Light,
    /// Light on black.
    Dark,
}

/// A colour of the light theme, with its counterpart in the dark one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Colour {
    pub(super) light: &'static str,
    dark: &'static str,
}

const fn colour(light: &'static str, dark: &'static str) -> Colour {
    Colour { light, dark }
}

pub(super) const PAPER: Colour = colour("#FFFFFF", "#0D1117");
pub(super) const PANEL: Colour = colour("#F3F5F8", "#1B222C");
pub(super) const INK: Colour = colour("#1F2328", "#E6EDF3");
pub(super) const MUTED: Colour = colour("#59636E", "#9198A1");
pub(super) const GRID: Colour = colour("#D1D9E0", "#3D444D");
pub(super) const BLUE: Colour = colour("#0969DA", "#58A6FF");
pub(super) const RED: Colour = colour("#CF222E", "#FF7B72");
pub(super) const GREEN: Colour = colour("#1A7F37", "#3FB950");
pub(super) const ORANGE: Colour = colour("#BC4C00", "#F0883E");
pub(super) const PURPLE: Colour = colour("#8250DF", "#BC8CFF");
pub(super) const TEAL: Colour = colour("#0A7E8C", "#39C5CF");

const ALL: [Colour; 11] = [PAPER, PANEL, INK, MUTED, GRID, BLUE, RED, GREEN, ORANGE, PURPLE, TEAL];

/// Colours for one flow after the other.
pub(super) const FLOWS: [Colour; 6] = [BLUE, ORANGE, GREEN, PURPLE, RED, TEAL];

/// A document drawn in light colours, in those of `theme`.
pub(super) fn themed(svg: &str, theme: Theme) -> String {
    match theme {
        Theme::Light => svg.to_owned(),
        Theme::Dark => ALL.iter().fold(svg.to_owned(), |svg, colour| svg.replace(colour.light, colour.dark)),
        Theme::Auto => {
            let mut rules = String::new();
            for Colour { light, dark } in ALL {
                // Rules take precedence over the attributes that they name.
                rules += &format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}");
            }
            let style = format!("<style>@media (prefers-color-scheme:dark){{{rules}}}</style>");
            let start = svg.find("<svg").unwrap_or(0);
            let body = svg[start..].find('>').map_or(svg.len(), |end| start + end + 1);
            format!("{}\n{style}{}", &svg[..body], &svg[body..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dark_picture_has_no_light_colour_and_the_other_has_both() {
        let drawn =
            format!("<?xml?>\n<svg a=\"b\"><path fill=\"{}\" stroke=\"{}\"/></svg>", PAPER.light, RED.light);
        assert_eq!(themed(&drawn, Theme::Light), drawn);
        let dark = themed(&drawn, Theme::Dark);
        assert!(ALL.iter().all(|colour| !dark.contains(colour.light)), "{dark}");
        let auto = themed(&drawn, Theme::Auto);
        assert!(
            auto.starts_with("<?xml?>\n<svg a=\"b\">\n<style>@media (prefers-color-scheme:dark)"),
            "{auto}"
        );
        assert!(auto.ends_with("</svg>"));
    }

    #[test]
    fn no_colour_stands_for_two() {
        for (place, colour) in ALL.iter().enumerate() {
            assert!(
                ALL[place + 1..]
                    .iter()
                    .all(|other| other.light != colour.light && other.dark != colour.light)
            );
        }
    }
}
