//! A page in a real browser, headless Chromium: what of it does not fit into a window, pictures of it, and it printed.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How high a window is.
const HEIGHT: u32 = 2400;

/// What runs in the page: its widths, every element that reaches out of the window without a scrollbar of its own, and every
/// element whose text does not fit into it.
const SCRIPT: &str = r#"<script>
addEventListener("load", () => {
  const width = document.documentElement.clientWidth;
  const hidden = element => element.closest(".wide, .lane");
  const outside = [...document.body.querySelectorAll("*")].filter(element => {
    const box = element.getBoundingClientRect();
    return box.width > 0 && (box.right > width + 1 || box.left < -1) && !hidden(element);
  });
  const overlapping = [...document.querySelectorAll("dd, td, .tile b, .name")].filter(element =>
    element.scrollWidth > element.clientWidth + 1);
  parent.postMessage({
    width, scroll: document.documentElement.scrollWidth,
    outside: outside.map(element => element.outerHTML.slice(0, 200)),
    overlapping: overlapping.map(element => element.outerHTML.slice(0, 200)),
    scripts: document.querySelectorAll("script").length,
    text: document.body.innerText,
    back: getComputedStyle(document.body).backgroundColor,
  }, "*");
});
</script>"#;

/// The browser, with a directory of its own.
///
/// # Panics
///
/// There is none. `.ci/run` installs it.
#[track_caller]
fn browser(directory: &Path) -> Command {
    let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).any(|path| path.join(name).is_file())
    });
    let mut command = Command::new(program.expect("these tests need a browser: apt-get install chromium"));
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"])
        .args(["--disable-extensions", "--no-first-run", "--disable-background-networking"])
        .arg(format!("--user-data-dir={}", directory.join("browser").display()))
        .env("HOME", directory)
        .stderr(Stdio::null());
    command
}

/// A page with the page in windows of these widths, beside each other. A browser has no window as narrow as a phone.
fn windows(page: &str, widths: &[u32]) -> String {
    let frame = |width: &u32| {
        format!(
            r#"<iframe src="{page}" style="width:{width}px;height:{HEIGHT}px;border:0;margin:4px"></iframe>"#
        )
    };
    let frames: String = widths.iter().map(frame).collect();
    let count = widths.len();
    format!(
        "<!DOCTYPE html><meta charset=utf-8><title></title><script>const seen = []; addEventListener('message', event => {{ \
         seen.push(event.data); if (seen.length === {count}) document.documentElement.dataset.seen = JSON.stringify(seen); \
         }});</script><body style=\"margin:0;white-space:nowrap\">{frames}"
    )
}

/// Opens the page in windows of these widths, and returns what the script has seen in each, by width. `page` has no scripts of
/// its own. A picture of all windows goes to the file, if one is given.
#[track_caller]
pub(crate) fn look(page: &Path, widths: &[u32], picture: Option<&Path>, more: &[&str]) -> Vec<Value> {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let text = std::fs::read_to_string(page).expect("the page can be read");
    // Only the copy runs the script: the page itself forbids all scripts.
    let (before, after) =
        text.split_once("<meta http-equiv=\"Content-Security-Policy\"").expect("the page forbids scripts");
    let (_, after) = after.split_once(">\n").expect("the element ends");
    let write = |name: &str, text: String| {
        std::fs::write(directory.path().join(name), text).expect("a copy can be written");
    };
    write("page.html", format!("{before}{SCRIPT}{after}"));
    write("windows.html", windows("page.html", widths));
    let width: u32 = widths.iter().map(|width| width + 12).sum();
    let output = browser(directory.path())
        .arg(format!("--window-size={width},{HEIGHT}"))
        .arg("--virtual-time-budget=10000")
        .args(more)
        .args(picture.map(|file| format!("--screenshot={}", file.display())))
        .arg("--dump-dom")
        .arg(format!("file://{}", directory.path().join("windows.html").display()))
        .output()
        .expect("the browser runs");
    let dom = String::from_utf8_lossy(&output.stdout);
    let seen = dom.split_once("data-seen=\"").and_then(|(_, rest)| rest.split_once('"'));
    let (seen, _) = seen.unwrap_or_else(|| panic!("the page was not loaded: {}\n{dom}", output.status));
    let seen = seen.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let mut seen: Vec<Value> = serde_json::from_str(&seen).unwrap_or_else(|error| panic!("{error}: {seen}"));
    seen.sort_by_key(|seen| seen["width"].as_u64());
    seen
}

/// Prints the page to a file, as PDF.
#[track_caller]
pub(crate) fn print(page: &Path, file: &Path) {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let status = browser(directory.path())
        .arg("--no-pdf-header-footer")
        .arg(format!("--print-to-pdf={}", file.display()))
        .arg(format!("file://{}", page.display()))
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("the browser runs").success(), "{} was not made", file.display());
}
