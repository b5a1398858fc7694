// Charts: Vega-Lite in the typography of page.css, with its colours by variable, so that a switch of
// the theme redraws nothing. `ast` interprets expressions, which the page's policy forbids to compile.
const LOOK = {
  background: null,
  font: getComputedStyle(document.body).fontFamily,
  view: { stroke: null },
  axis: {
    domain: false, ticks: false, gridColor: "var(--grid)", labelColor: "var(--soft)", labelFontSize: 11.5,
    labelFontWeight: "normal", labelFlush: false, labelPadding: 7, tickCount: 6,
    titleColor: "var(--faint)", titleFontSize: 11.5, titleFontWeight: "normal", titlePadding: 8,
  },
  axisBand: { grid: false },
  line: { strokeWidth: 2, strokeJoin: "round" },
  text: { fontSize: 11.5, fill: "var(--soft)" },
};
for (const host of document.querySelectorAll(".chart")) {
  const spec = JSON.parse(host.nextElementSibling.textContent);
  vegaEmbed(host, spec, {
    actions: false, ast: true, config: LOOK, defaultStyle: false, renderer: "svg",
    // Of the mark, or of the mark in whose neighbourhood the pointer is: there Vega-Lite 6.4 does not
    // find a text itself (vega-lite#9707).
    tooltip: (_, event, item, said) => {
      if (said) place((item.datum.datum ?? item.datum).note, event);
      else hide();
    },
  });
}
