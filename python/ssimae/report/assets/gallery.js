// The gallery: cards that are filtered, sorted and searched, and painted only while they are in view.

const gallery = document.getElementById("gallery");
const filters = document.getElementById("filters");
const cards = page.images.map((_, index) => makeCard(index));
const inView = new Set();
// Numbers of the images that pass the filters, in the order shown.
let shownImages = [];

const OUTCOMES = {
  all: { title: "All", keeps: () => true },
  missed: { title: "Missed", keeps: (found) => found.fault === "missed" },
  false: { title: "False alarms", keeps: (found) => found.fault === "false alarm" },
  misplaced: { title: "Wrong place", keeps: (found) => found.fault === "misplaced" || found.fault === "not located" },
  flagged: { title: "Flagged", keeps: (found) => found.verdict !== "good" && found.verdict !== null },
  defective: { title: "Judged defective", keeps: (found) => found.verdict === "defective" },
  review: { title: "For review", keeps: (found) => found.verdict === "review" },
  good: { title: "Passed", keeps: (found) => found.verdict === "good" },
};

const VERDICTS = ["defective", "review", "flagged", "good"];

// The worst first: what went wrong before the rest, then the least overlap with the truth, then the larger defect, then
// the higher score. Without truth: defective, for review, good. Maps without thresholds: as given, the region found worst
// first.
function worst(a, b) {
  if (!model().judged) return a.index - b.index;
  return (
    (a.fault === null) - (b.fault === null) ||
    (a.counts?.quality ?? 0) - (b.counts?.quality ?? 0) ||
    (b.counts?.defective ?? 0) - (a.counts?.defective ?? 0) ||
    VERDICTS.indexOf(a.verdict) - VERDICTS.indexOf(b.verdict) ||
    (b.row?.score ?? 0) - (a.row?.score ?? 0)
  );
}

const ORDERS = {
  worst: ["worst first", worst],
  highest: ["highest score first", (a, b) => (b.row?.score ?? 0) - (a.row?.score ?? 0)],
  lowest: ["lowest score first", (a, b) => (a.row?.score ?? 0) - (b.row?.score ?? 0)],
  name: ["by name", (a, b) => a.image.name.localeCompare(b.image.name, undefined, { numeric: true })],
  kind: ["by kind", (a, b) => a.image.defect.localeCompare(b.image.defect) || worst(a, b)],
};

const wanted = { outcome: "all", kind: "", reason: "", order: "worst", view: "marks", text: "" };

function makeCard(index) {
  const image = page.images[index];
  const open = element("button", { type: "button", class: "pictures", "aria-label": `Show ${image.name} in full` });
  open.addEventListener("click", () => openViewer(index));
  const box = element("div", { class: "badges" });
  const others = element("div", { class: "others" });
  const reason = element("p", { class: "reason" });
  const card = element(
    "article",
    { class: image.size[0] > 3 * image.size[1] ? "card long" : "card", id: `image-${index}` },
    open,
    element("h3", {}, image.name, " ", element("span", { class: "kind" }, image.defect)),
    box,
    reason,
    others,
    ...image.problems.map((problem) => element("p", { class: "problem" }, problem)),
    tickBox(index),
  );
  return { card, open, box, reason, others, canvases: [] };
}

function layPanes(index) {
  const { open } = cards[index];
  const named = wanted.view === "all" || page.models.length > 1;
  cards[index].canvases = isPictured(index)
    ? panes(wanted.view).map(([view, m]) => ({ canvas: element("canvas"), view, m }))
    : [];
  open.replaceChildren(
    ...cards[index].canvases.map(({ canvas, view, m }) =>
      element("span", { class: "pane" }, canvas, named ? element("small", {}, viewTitle(view, m)) : null),
    ),
  );
  if (!isPictured(index)) open.append(element("small", {}, "listed only"));
}

async function paintCard(index) {
  if (!isPictured(index)) return;
  const { canvases } = cards[index];
  const found = await pictures(index, canvases.map(({ view, m }) => [view, m]));
  // Meanwhile the card may have left the view, or show something else.
  if (!inView.has(index) || cards[index].canvases !== canvases) return;
  for (const { canvas, view, m } of cards[index].canvases) paint(canvas, found, view, m);
}

// A canvas out of view gives its memory back; its box keeps its size.
function clearCard(index) {
  for (const { canvas } of cards[index].canvases) canvas.width = canvas.height = 1;
}

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const index = Number(target.id.slice("image-".length));
      if (isIntersecting) {
        inView.add(index);
        paintCard(index);
      } else {
        inView.delete(index);
        clearCard(index);
      }
    }
  },
  { rootMargin: "400px" },
);
for (const { card } of cards) observer.observe(card);

function badge(verdict) {
  // "good" alone, beside "missed", would read as what the image is.
  const said = verdict === "review" ? "for review" : model().judged ? `judged ${verdict}` : verdict === "good" ? "passed" : verdict;
  return element("span", { class: `verdict ${verdict}` }, said);
}

function faultBadge(fault) {
  return fault === null ? "" : element("span", { class: "fault" }, fault === "misplaced" ? "wrong place" : fault);
}

function describe(index) {
  const { box, reason, others } = cards[index];
  const { verdict, fault, counts, row } = judged(page.images[index]);
  if (row === null) {
    box.replaceChildren(`not inspected by ${model().title}`);
    return;
  }
  const covered = counts?.covered ?? null;
  box.replaceChildren(
    badge(verdict),
    faultBadge(fault),
    element("span", { class: "numbers" }, `score ${number(row.score)}${covered === null ? "" : `, ${share(covered)} of the defect marked`}`),
  );
  // The words are those of the run: at other thresholds they may not hold.
  reason.textContent = ownThresholds(state.model) ? row.reason : "";
  others.replaceChildren(
    ...page.models.flatMap((other, m) => {
      if (m === state.model || page.images[index].rows[m] === null) return [];
      const found = judged(page.images[index], m);
      return [element("p", {}, `${other.title}: `, badge(found.verdict), ` ${number(found.row.score)}`)];
    }),
  );
}

// Arrange the cards anew: on a filter, and when a threshold has come to rest.
function arrange() {
  const found = page.images.map((image, index) => ({ index, image, ...judged(image) }));
  const matching = found.filter(
    ({ image, row }) =>
      (wanted.kind === "" || image.defect === wanted.kind) &&
      (wanted.reason === "" || row?.reason.includes(wanted.reason)) &&
      `${image.name} ${image.defect}`.toLowerCase().includes(wanted.text.toLowerCase()),
  );
  shownImages = matching
    .filter(OUTCOMES[wanted.outcome].keeps)
    .sort(ORDERS[wanted.order][1])
    .map(({ index }) => index);
  gallery.replaceChildren(...shownImages.map((index) => cards[index].card));
  document.getElementById("shown").textContent =
    shownImages.length === page.images.length ? plural(page.images.length, "image") : `${shownImages.length} of ${plural(page.images.length, "image")}`;
  for (const button of filters.querySelectorAll("[data-outcome]")) {
    const { outcome } = button.dataset;
    const count = matching.filter(OUTCOMES[outcome].keeps).length;
    button.textContent = `${OUTCOMES[outcome].title} ${count}`;
    button.setAttribute("aria-pressed", String(outcome === wanted.outcome));
  }
}

function layAll() {
  gallery.className = `gallery ${wanted.view}`;
  gallery.style.setProperty("--models", wanted.view === "original" ? 1 : Math.min(3, page.models.length));
  cards.forEach((_, index) => layPanes(index));
  for (const index of inView) paintCard(index);
}

function select(name, label, options) {
  const box = element("select", { name, "aria-label": label }, ...options.map(([value, text]) => element("option", { value }, text)));
  box.addEventListener("change", () => {
    wanted[name] = box.value;
    if (name === "view") layAll();
    else arrange();
  });
  return element("label", {}, label, " ", box);
}

function buildFilters() {
  const labelled = page.images.some((image) => image.defective !== null);
  const anyJudged = page.models.some((one) => one.judged);
  const offered = ["all", ...(labelled ? ["missed", "false", "misplaced"] : []), "flagged", ...(anyJudged ? ["defective", "review"] : []), "good"];
  const kinds = [...new Set(page.images.map((image) => image.defect))].sort();
  // Several reasons are joined by semicolons, and what speaks for one stands in brackets.
  const given = page.images.flatMap((image) => image.rows.flatMap((row) => (row === null ? [] : row.reason.split("; "))));
  const reasons = [...new Set(given.map((reason) => reason.replace(/ \(.*/, "")))].filter(Boolean).sort();
  const search = element("input", { type: "search", placeholder: "name", "aria-label": "Search by name" });
  search.addEventListener("input", () => {
    wanted.text = search.value;
    arrange();
  });
  const views = [["marks", "marks"], ["map", model().map], ["original", "original"]];
  if (page.models.some((one) => one.rebuilds)) views.push(["rebuilt", "reconstruction"]);
  views.push(["all", "all of these"]);
  const chips = offered.map((outcome) => {
    const chip = element("button", { type: "button", "data-outcome": outcome });
    chip.addEventListener("click", () => {
      wanted.outcome = outcome;
      arrange();
    });
    return chip;
  });
  filters.replaceChildren(
    element("div", { class: "chips" }, ...chips),
    kinds.length > 1 ? select("kind", "Kind", [["", "all kinds"], ...kinds.map((kind) => [kind, kind])]) : "",
    reasons.length > 1 ? select("reason", "Reason", [["", "any reason"], ...reasons.map((reason) => [reason, reason])]) : "",
    element("label", {}, "Search ", search),
    select("order", "Order", Object.entries(ORDERS).map(([value, [text]]) => [value, text])),
    select("view", "Show", views),
    element("span", { id: "shown", "aria-live": "polite" }),
  );
}

parts.push((what) => {
  // While a slider moves, only what is seen.
  for (const index of what === "rests" ? page.images.keys() : inView) describe(index);
  for (const index of inView) paintCard(index);
  if (what === "rests") arrange();
});
