"use strict";

// Light or dark: as the system says, until the reader chooses.
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* storage may be forbidden */ }
  const show = () => {
    const dark = chosen ? chosen === "dark" : system.matches;
    root.dataset.theme = dark ? "dark" : "light";
    button.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${dark ? "light" : "dark"} colours`);
  };
  button.addEventListener("click", () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", chosen); } catch { /* as above */ }
    show();
  });
  system.addEventListener("change", show);
  show();
})();

// What the pointer reads: notes of single marks, and of lines at the pointer's x.
(() => {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);

  function place(text, event) {
    tip.textContent = text;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const right = event.clientX + 14 + box.width > innerWidth;
    tip.style.left = `${Math.max(4, right ? event.clientX - box.width - 14 : event.clientX + 14)}px`;
    tip.style.top = `${Math.max(4, event.clientY - box.height - 10)}px`;
  }

  function readLines(svg, event) {
    const { area, series } = JSON.parse(svg.dataset.hover);
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) * svg.viewBox.baseVal.width) / box.width;
    if (!series.length || x < area[0] - 6 || x > area[2] + 6) return false;
    let at = x;
    const texts = series.map(({ name, points }) => {
      const nearest = points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
      at = nearest[0];
      return series.length > 1 ? `${name.split(",")[0]}: ${nearest[2]}` : nearest[2];
    });
    const cursor = svg.querySelector(".cursor");
    const spots = { x1: at, x2: at, y1: area[1], y2: area[3] };
    for (const [name, value] of Object.entries(spots)) cursor.setAttribute(name, value);
    cursor.style.display = "inline";
    place(texts.join("\n"), event);
    return true;
  }

  function hide() {
    tip.hidden = true;
    for (const cursor of document.querySelectorAll(".cursor")) cursor.style.display = "none";
  }

  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest("[data-tip]");
    const svg = event.target.closest("svg[data-hover]");
    if (mark) place(mark.dataset.tip, event);
    else if (!svg || !readLines(svg, event)) hide();
  });
  document.addEventListener("scroll", hide, { passive: true });
})();

// Tables that sort by a column: names from A, numbers from the largest.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    const sort = () => {
      const rising = head.getAttribute("aria-sort")
        ? head.getAttribute("aria-sort") === "descending"
        : column === 0;
      const sign = rising ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value;
      const rows = [...table.tBodies[0].rows].sort((a, b) =>
        sign * (column ? value(a) - value(b) : value(a).localeCompare(value(b))));
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      table.tBodies[0].append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
    });
  });
}
