"""How a page looks, as far as a program can tell: nothing too wide, nothing cut off, nothing too pale.

What it cannot tell is on the pictures, which are for people.
"""

from .proc import Failed, wait_for

# Everything with a text of its own that is on the page and not only for screen readers.
TEXTS = """
const seen = [];
for (const e of document.querySelectorAll('body *')) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
  if (e.closest('.away, .live, .skip, svg, option, noscript')) continue;
  const box = e.getBoundingClientRect();
  if (box.width <= 1 || box.height <= 1) continue;
  seen.push(e);
}
const name = (e) => `${e.tagName.toLowerCase()}.${e.className} "${e.textContent.trim().slice(0, 40)}"`;
"""

CUT_OFF = TEXTS + """
const width = document.documentElement.clientWidth;
return seen.filter((e) => {
  const range = document.createRange();
  range.selectNodeContents(e);
  const text = range.getBoundingClientRect();
  if (text.left < -1 || text.right > width + 1) return true;
  for (let p = e; p && p !== document.body; p = p.parentElement) {
    if (getComputedStyle(p).overflowX === 'visible') continue;
    const box = p.getBoundingClientRect();
    if (text.right > box.right + 1 || text.left < box.left - 1) return true;
  }
  return false;
}).map(name);
"""

# WCAG 2.2, 1.4.3: 4.5 to 1, or 3 to 1 for large text.
PALE = TEXTS + """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgba = (color) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = (c) => {
  const [r, g, b] = c.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (e) => {
  for (let p = e; p; p = p.parentElement) {
    const style = getComputedStyle(p);
    const color = rgba(style.backgroundColor);
    if (color[3] === 255) return color;
    if (color[3] !== 0 || (style.backgroundImage !== 'none' && !p.matches('strong, .screen, body, html'))) return null;
  }
  return rgba('Canvas');
};
return seen.map((e) => {
  const behind = ground(e);
  if (!behind) return null;
  const style = getComputedStyle(e);
  const [a, b] = [luminance(rgba(style.color)), luminance(behind)];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  return contrast + 0.01 < (large ? 3 : 4.5) ? `${name(e)} ${contrast.toFixed(2)}` : null;
}).filter(Boolean);
"""

OUTSIDE = """
const box = document.querySelector(arguments[0]).getBoundingClientRect();
return box.left < -0.5 || box.right > innerWidth + 0.5 || box.top < -0.5 || box.bottom > innerHeight + 0.5
  ? `${Math.round(box.left)},${Math.round(box.top)} to ${Math.round(box.right)},${Math.round(box.bottom)} in ${innerWidth} x ${innerHeight}` : null;
"""


def look(browser, what):
    """Claims what a program can see of the page as it is now."""
    wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        raise Failed(f"{what}: the page is {wide} pixels wider than the window")
    for script, fault in ((CUT_OFF, "cut off"), (PALE, "too pale to read")):
        found = browser.run(script)
        if found:
            raise Failed(f"{what}: {fault}:\n" + "\n".join(found))


def fits(browser, css, what):
    """Claims that an element is inside the window as a whole, once the page has scrolled to it."""
    try:
        wait_for("the page to scroll", lambda: browser.run(OUTSIDE, css) is None, 3)
    except Failed:
        raise Failed(f"{what}: `{css}` is not inside the window: {browser.run(OUTSIDE, css)}") from None
