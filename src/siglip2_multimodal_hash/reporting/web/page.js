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

// What the pointer reads: notes of charts, see charts.js, and the meaning of terms, which a key or a
// tap shows, too.
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

function hide() {
  tip.hidden = true;
}

function explain(term, event) {
  place(document.getElementById(term.getAttribute("aria-describedby")).textContent, event);
}

function explainBeside(term) {
  const { left, top } = term.getBoundingClientRect();
  if (top < 0 || top > innerHeight) hide();
  else explain(term, { clientX: left, clientY: top });
}

document.addEventListener("pointermove", (event) => {
  const term = event.target.closest("abbr");
  if (term) explain(term, event);
  else if (!event.target.closest(".chart")) hide();
});
// What the pointer was at is elsewhere now; a term that has the focus takes its meaning along.
document.addEventListener("scroll", () => {
  const term = document.activeElement;
  if (term.matches("abbr") && !tip.hidden) explainBeside(term);
  else hide();
}, { passive: true });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
for (const section of document.querySelectorAll("section")) {
  const seen = new Set();
  for (const term of section.querySelectorAll("abbr")) {
    // By key the first of its kind in a section is enough.
    const meaning = term.getAttribute("aria-describedby");
    term.tabIndex = seen.has(meaning) ? -1 : 0;
    seen.add(meaning);
    term.addEventListener("focus", () => explainBeside(term));
    term.addEventListener("blur", hide);
  }
}

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
      const value = ({ cells }) => cells[column].dataset.value ?? cells[column].textContent;
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
