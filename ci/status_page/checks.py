"""What holds for the page on every screen: looked at in its DOM, as the browser lays it out."""

from .browser import Broken

# Elements that are wider than the page, by name, where the page can be scrolled sideways.
OVERFLOW = """
(() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const wide = [...document.querySelectorAll('body *')];
  return wide.filter(it => it.getBoundingClientRect().right > width + 1)
    .map(it => it.tagName + '.' + it.className + ': ' + it.textContent.trim().slice(0, 40));
})()
"""

# Text whose contrast with what is behind it is below 4.5, or 3 where it is large.
CONTRAST = """
(() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(it => it / 255)
    .map(it => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4)
    .reduce((sum, it, at) => sum + it * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = element => {
    for (let it = element; it; it = it.parentElement) {
      const colour = parts(getComputedStyle(it).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const dim = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(it => it.nodeType === 3 && it.data.trim());
    const box = element.getBoundingClientRect();
    if (!own || box.width < 2 || element.closest('svg, .skip')) continue;
    const style = getComputedStyle(element);
    const [one, other] = [light(parts(style.color)), light(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) dim.push(ratio.toFixed(2) + ': ' + element.textContent.slice(0, 40));
  }
  return dim;
})()
"""

# What can be used, each with a number.
USABLE = """
(() => {
  const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
    .filter(it => it.checkVisibility());
  all.forEach((it, at) => it.dataset.usable = at);
  return all.length;
})()
"""

# What has the focus: its number, and whether that is seen.
FOCUSED = """
(() => {
  const it = document.activeElement;
  if (!it || it.dataset.usable === undefined) return null;
  const box = it.getBoundingClientRect(), style = getComputedStyle(it);
  return {
    at: Number(it.dataset.usable),
    name: it.textContent.trim() || it.name,
    seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
      && box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right <= innerWidth + 1,
  };
})()
"""

# Structure: what a screen reader goes by.
STRUCTURE = """
(() => {
  const wrong = [];
  const one = (what, selector) => {
    const count = document.querySelectorAll(selector).length;
    if (count !== 1) wrong.push(count + ' of ' + what);
  };
  one('main', 'main'); one('header', 'body > header'); one('footer', 'body > footer'); one('h1', 'h1');
  if (document.documentElement.lang !== 'en') wrong.push('no language');
  for (const table of document.querySelectorAll('table')) {
    if (!table.caption || !table.caption.textContent.trim()) wrong.push('a table without a caption');
    const columns = table.tHead.rows[0].cells.length;
    for (const cell of table.tHead.rows[0].cells)
      if (cell.scope !== 'col') wrong.push('a head without a scope: ' + cell.textContent);
    for (const row of table.tBodies[0].rows) {
      if (row.cells.length !== columns) wrong.push('a row of another length: ' + row.textContent);
      if (row.cells[0].scope !== 'row') wrong.push('a row without a head: ' + row.textContent);
    }
  }
  for (const id of new Set([...document.querySelectorAll('[id]')].map(it => it.id)))
    if (document.querySelectorAll('#' + id).length > 1) wrong.push('two elements called ' + id);
  for (const link of document.querySelectorAll('a[href^="#"]'))
    if (!document.querySelector(link.getAttribute('href'))) wrong.push('a link to nowhere: ' + link);
  for (const input of document.querySelectorAll('input'))
    if (!input.labels.length) wrong.push('an input without a label');
  return wrong;
})()
"""

TAB = ("Tab", 9)


def keyboard(browser):
    """Every element that can be used is reached by Tab, in its order, and seen when it has the focus."""
    count = browser.value(USABLE)
    browser.value("document.activeElement.blur(); scrollTo(0, 0)")
    reached = []
    for _ in range(count + 5):
        browser.press(*TAB)
        focused = browser.value(FOCUSED)
        if focused is None:
            continue
        if focused["at"] in reached:
            break
        if not focused["seen"]:
            raise Broken(f"that {focused['name']!r} has the focus is not seen")
        reached.append(focused["at"])
    if reached != list(range(count)):
        raise Broken(f"of {count} elements Tab reaches {reached}")
    return count


def names(browser):
    """Everything that can be used has a name for those who do not see it."""
    nodes = browser.ask("Accessibility.getFullAXTree")["nodes"]
    usable = {"link", "button", "searchbox", "textbox", "progressbar", "DisclosureTriangle"}
    for node in nodes:
        role = node.get("role", {}).get("value")
        if role in usable and not node.get("name", {}).get("value", "").strip():
            raise Broken(f"a {role} without a name")


def none(browser, what, script):
    """Nothing is found that a script looks for."""
    found = browser.value(script)
    if found:
        raise Broken(f"{what}: {found}")


def look(browser, url, width, dark, secret=None):
    """Loads the page on a screen of this width, and looks at all of it; says how much can be used."""
    browser.screen(width, 800, dark)
    requests, complaints = browser.load(url, secret)
    if requests != [url]:
        raise Broken(f"it asks for more than itself: {requests}")
    if complaints:
        raise Broken(f"the browser complains: {complaints}")
    # As somebody has it who looks at what to do.
    browser.value("document.querySelectorAll('details').forEach(it => it.open = true)")
    none(browser, "wider than the screen", OVERFLOW)
    none(browser, "too little contrast", CONTRAST)
    none(browser, "structure", STRUCTURE)
    names(browser)
    count = keyboard(browser)
    browser.value("document.activeElement.blur(); scrollTo(0, 0)")
    return count
