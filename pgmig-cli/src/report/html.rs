//! HTML as text. Everything that comes from others is escaped here: an element takes text, never markup of others.

use pgmig_core::text::printable;
use std::fmt::Write as _;

/// Markup that is safe to be put into a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// No markup yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Text of whatever origin. Characters that control or mislead a reader are shown as escapes.
    pub(super) fn text(text: &str) -> Self {
        Self(escaped(text))
    }

    /// An element with this class (none if it is empty) around markup.
    pub(super) fn element(name: &'static str, class: &'static str, inner: &Html) -> Self {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        Self(format!("<{name}{class}>{}</{name}>", inner.0))
    }

    /// An element around text.
    pub(super) fn of(name: &'static str, class: &'static str, text: &str) -> Self {
        Self::element(name, class, &Self::text(text))
    }

    /// A bar: its class, its left edge and its width in percent, and a text that is shown when it is pointed at.
    pub(super) fn bar(class: &'static str, left: f64, width: f64, title: &str) -> Self {
        let percent = |number: f64| if number.is_finite() { number.clamp(0.0, 100.0) } else { 0.0 };
        let (left, width) = (percent(left), percent(width));
        Self(format!(
            "<span class=\"bar {class}\" style=\"left:{left:.3}%;width:{width:.3}%\" title=\"{}\"></span>",
            escaped(title)
        ))
    }

    /// Adds markup.
    pub(super) fn push(&mut self, more: &Html) {
        self.0 += &more.0;
    }

    /// The page with this title, style sheet and content.
    pub(super) fn page(title: &str, style: &'static str, body: &Html) -> String {
        let mut page = String::new();
        let _ = write!(
            page,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{style}</style>\n</head>\n\
             <body>\n{}\n</body>\n</html>\n",
            escaped(title),
            body.0
        );
        page
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            escaped.push('\n');
        }
        for c in printable(line).chars() {
            match c {
                '&' => escaped += "&amp;",
                '<' => escaped += "&lt;",
                '>' => escaped += "&gt;",
                '"' => escaped += "&quot;",
                '\'' => escaped += "&#39;",
                c => escaped.push(c),
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let hostile = "<script>alert('x')</script>\" onload=\"x\u{202e}\u{1b}[2J & \n</style>";
        for html in [Html::text(hostile), Html::of("td", "", hostile), Html::bar("rows", 0.0, 1.0, hostile)] {
            assert!(!html.0.contains("<script") && !html.0.contains("</style"), "{}", html.0);
            assert!(!html.0.contains("\" onload") && !html.0.contains('\u{202e}'), "{}", html.0);
        }
        assert_eq!(Html::text("a <b> & 'c'").0, "a &lt;b&gt; &amp; &#39;c&#39;");
    }

    #[test]
    fn bars_stay_in_their_lane() {
        let Html(bar) = Html::bar("rows", 120.0, f64::NAN, "");
        assert!(bar.contains("left:100.000%"), "{bar}");
    }
}
