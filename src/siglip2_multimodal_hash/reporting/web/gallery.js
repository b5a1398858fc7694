// The gallery: one card at a time, filtered by class and outcome, each at an address of its own. Everything that comes from the
// data is put in as text or as an attribute, never as markup.
(() => {
  const host = document.getElementById("gallery");
  if (!host) return;
  const data = JSON.parse(document.getElementById("data").textContent);
  const { names, predictors, photos, cards } = data;
  const find = (id) => document.getElementById(id);
  const [strip, holder, position] = ["strip", "card", "position"].map(find);
  const [byClass, byOutcome, byOrder] = ["class", "outcome", "order"].map(find);
  let shown = [];
  let at = 0;

  function make(tag, className, ...children) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...children);
    return node;
  }

  function picture(key, className) {
    const { url, link, file, caption } = photos[key];
    const name = () => make("div", "nophoto", file);
    if (!url && !link) return name();
    const image = make("img", className);
    // A small copy is here already; a file is fetched when it comes into view, which must be known
    // before loading begins.
    if (!url) image.loading = "lazy";
    image.src = url ?? link;
    image.alt = caption;
    // The file is gone: so is what leads to it.
    image.addEventListener("error", () => (image.closest("a") ?? image).replaceWith(name()));
    return image;
  }

  function linked(key, className) {
    const { link, caption } = photos[key];
    if (!link) return picture(key, className);
    const anchor = make("a", "full", picture(key, className));
    anchor.href = link;
    anchor.target = "_blank";
    anchor.rel = "noopener";
    anchor.setAttribute("aria-label", `${caption} (full size, in a new tab)`);
    return anchor;
  }

  function bar(share, colour) {
    const inner = make("div", `fill ${colour}`);
    inner.style.width = `${100 * Math.min(1, share)}%`;
    return make("div", "cellbar", inner);
  }

  function tagTable(card) {
    const table = make("table", "tags");
    const head = table.createTHead().insertRow();
    for (const name of ["tag", ...predictors]) head.append(make("th", "", name));
    const body = table.createTBody();
    for (const [category, ...scores] of card.tags) {
      const isTrue = card.true.includes(category);
      const isDecided = card.decided.includes(category);
      const kind = isTrue ? (isDecided ? "hit" : "missed") : isDecided ? "wrong" : "none";
      const said = { hit: "right", missed: "missed", wrong: "wrong", none: "below the threshold" };
      const tag = make("span", `tag ${kind}`, names[category]);
      tag.title = said[kind];
      const row = body.insertRow();
      row.append(make("th", "", tag, make("small", "", kind === "none" ? "" : ` ${said[kind]}`)));
      scores.forEach((score, place) => {
        row.append(make("td", "", bar(score, predictors[place]), score.toFixed(2)));
      });
    }
    return table;
  }

  function neighbour([key, distance, similarity, weight, shared], rank, heaviest) {
    const names_ = shared.map((category) => names[category]).join(", ");
    const near = distance === null ? similarity.toFixed(3) : `d ${distance}`;
    const item = make("li", "",
      linked(key, ""),
      make("div", "row", make("b", "", near), make("span", "", `${(100 * weight).toFixed(1)} %`)),
      bar(heaviest ? weight / heaviest : 0, "knn"),
      make("div", shared.length ? "shared" : "shared none", names_ || "nothing shared"));
    item.title = `${rank + 1}. ${photos[key].caption}\nsimilarity ${similarity}, `
      + `weight ${(100 * weight).toFixed(2)} %`;
    return item;
  }

  function verdict({ true: truth, decided }) {
    const found = truth.filter((one) => decided.includes(one)).length;
    const wrong = decided.length - found;
    const said = truth.length ? `${found} of ${truth.length} tags right` : "no tag to find";
    return wrong ? `${said}, ${wrong} wrong` : said;
  }

  function view(card) {
    const { file, caption } = photos[card.photo];
    const truth = card.true.map((c) => make("span", "tag", names[c]));
    const address = make("a", "", "link to this query");
    address.href = `#query-${card.id}`;
    const left = make("div", "", linked(card.photo, "photo"),
      make("span", `verdict${card.right ? " right" : ""}`, verdict(card)), make("p", "file", file),
      make("p", "address", address));
    const right = make("div", "", make("blockquote", "", caption),
      make("p", "note", "true tags: ", ...(truth.length ? truth : ["none"])), tagTable(card));
    const [more, rest] = card.rest;
    const listed = card.neighbours.length;
    const unit = data.bits ? `d: bits of ${data.bits} that differ` : "similarity";
    const head = make("h3", "subhead", `${listed} nearest neighbours `,
      make("small", "", `${unit}; weight in the vote; labels shared`
        + (more ? `; ${more} further ones hold ${(100 * rest).toFixed(1)} %` : "")));
    const heaviest = Math.max(...card.neighbours.map((one) => one[3]), 0);
    const list = make("ul", "neighbours",
      ...card.neighbours.map((one, rank) => neighbour(one, rank, heaviest)));
    return [make("div", "query", left, right), head, list];
  }

  function show(index) {
    at = Math.max(0, Math.min(index, shown.length - 1));
    position.textContent = shown.length ? `${at + 1} of ${shown.length}` : "0 of 0";
    find("previous").disabled = at <= 0;
    find("next").disabled = at >= shown.length - 1;
    if (shown.length) holder.replaceChildren(...view(cards[shown[at]]));
    else holder.replaceChildren(make("p", "empty", "No query fits the filter."));
    [...strip.children].forEach((button, place) => {
      if (place === at) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    });
    const current = strip.children[at];
    if (current) strip.scrollLeft = current.offsetLeft - strip.clientWidth / 2 + 27 - strip.offsetLeft;
  }

  function filter() {
    const wanted = byClass.value === "" ? null : Number(byClass.value);
    shown = cards.map((_, index) => index).filter((index) => {
      const { true: truth, decided, right } = cards[index];
      const fits = wanted === null || truth.includes(wanted) || decided.includes(wanted);
      return fits && (byOutcome.value === "all" || right === (byOutcome.value === "success"));
    });
    const sign = { split: 0, worst: 1, best: -1 }[byOrder.value];
    if (sign) shown.sort((a, b) => sign * (cards[a].f1 - cards[b].f1) || a - b);
    strip.replaceChildren(...shown.map((index, place) => {
      const button = make("button", cards[index].right ? "right" : "", picture(cards[index].photo, ""));
      button.type = "button";
      button.setAttribute("aria-label", `Query ${place + 1}: ${photos[cards[index].photo].caption}`);
      button.addEventListener("click", () => show(place));
      return button;
    }));
    show(0);
  }

  const counts = new Map();
  for (const { true: truth, decided } of cards) {
    for (const one of new Set([...truth, ...decided])) counts.set(one, (counts.get(one) ?? 0) + 1);
  }
  const known = [...counts.keys()].sort((a, b) => names[a].localeCompare(names[b]));
  for (const one of known) byClass.append(new Option(`${names[one]} (${counts.get(one)})`, one));
  for (const control of [byClass, byOutcome, byOrder]) control.addEventListener("change", filter);
  find("previous").addEventListener("click", () => show(at - 1));
  find("next").addEventListener("click", () => show(at + 1));
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, .scroll");
    if (typing || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { event.preventDefault(); show(at + step); }
  });
  // The address of one query: #query- and the id of its image.
  function visit() {
    const wanted = cards.findIndex(({ id }) => location.hash === `#query-${id}`);
    if (wanted < 0) return;
    if (!shown.includes(wanted)) {
      byClass.value = "";
      byOutcome.value = "all";
      filter();
    }
    show(shown.indexOf(wanted));
    holder.scrollIntoView();
  }

  filter();
  addEventListener("hashchange", visit);
  visit();
})();
