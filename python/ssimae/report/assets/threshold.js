// The panel of thresholds: scores of the images over the two sliders, what comes of them, and the command that keeps it.

const panel = document.getElementById("panel");
const SCORE_KINDS = [
  ["good", "--chart-good", (image) => image.defective === false],
  ["defective", "--chart-bad", (image) => image.defective === true],
  ["unlabelled", "--chart-open", (image) => image.defective === null],
];
const THUMB = 16;
let sliders = {};

function buildPanel() {
  if (panel === null) return;
  const models = page.models.map((one, m) => element("option", { value: m }, one.title));
  const chooser = element("select", { id: "chosen-model", "aria-label": "Model" }, ...models);
  chooser.addEventListener("change", () => {
    state.model = Number(chooser.value);
    buildSliders();
    changed("rests");
  });
  panel.replaceChildren(
    page.models.length > 1 ? element("label", { class: "chooser" }, "Thresholds of ", chooser) : "",
    element("div", { class: "scores" }, element("canvas", { id: "scores" }), element("div", { id: "score-legend" })),
    element("div", { id: "sliders" }),
    element("ul", { id: "live", "aria-live": "polite" }),
    element("p", { id: "permanent" }),
  );
  buildSliders();
  new ResizeObserver(drawScores).observe(document.getElementById("scores"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawScores);
}

function buildSliders() {
  const names = model().judged ? ["review", "defective"] : ["review"];
  sliders = {};
  for (const name of names) {
    const slider = element("input", { type: "range", min: 0, max: model().bounds.length - 1, step: 1, id: `slider-${name}` });
    slider.value = state.at[state.model][name];
    slider.addEventListener("input", () => move(name, Number(slider.value)));
    slider.addEventListener("change", () => changed("rests"));
    sliders[name] = { slider, value: element("output", { for: slider.id }) };
  }
  const titles = { review: model().judged ? "For review above" : "Marked above", defective: "Defective above" };
  document.getElementById("sliders").replaceChildren(
    ...names.map((name) => element("label", { class: name }, element("span", {}, titles[name], " ", sliders[name].value), sliders[name].slider)),
  );
}

// One redrawing for each frame, however fast a slider moves.
let waiting = false;

function move(name, value) {
  const at = state.at[state.model];
  at[name] = value;
  // A place is defective only if it is marked.
  if (at.defective !== null && at.defective < at.review) at[name === "review" ? "defective" : "review"] = value;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    changed("moves");
  });
}

function drawScores() {
  const canvas = document.getElementById("scores");
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (width === 0) return;
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const { bounds, colours } = model();
  const place = (k) => THUMB / 2 + ((width - THUMB) * k) / (bounds.length - 1);
  const bar = 12;
  const floor = height - bar - 3;
  const bins = Math.max(8, Math.min(64, Math.floor(width / 9)));
  const heaps = Array.from({ length: bins }, () => [0, 0, 0]);
  for (const image of page.images) {
    const row = image.rows[state.model];
    if (row === null) continue;
    const above = bounds.filter((bound) => bound < row.score).length;
    const bin = Math.min(bins - 1, Math.floor((above / bounds.length) * bins));
    heaps[bin][SCORE_KINDS.findIndex(([, , holds]) => holds(image))] += 1;
  }
  const highest = Math.max(...heaps.map((heap) => heap[0] + heap[1] + heap[2]));
  heaps.forEach((heap, bin) => {
    let base = floor;
    heap.forEach((count, kind) => {
      // Of many images in one bar the others still show: heights grow with the root of a heap.
      const heaped = heap[0] + heap[1] + heap[2];
      const tall = heaped === 0 ? 0 : (Math.sqrt(heaped / highest) * (floor - 2) * count) / heaped;
      context.fillStyle = style.getPropertyValue(SCORE_KINDS[kind][1]);
      context.fillRect(place((bin / bins) * (bounds.length - 1)) + 0.5, base - tall, (width - THUMB) / bins - 1, tall);
      base -= tall;
    });
  });
  // The colours of the maps, where they lie on the sliders.
  bounds.forEach((bound, k) => {
    const shade = Math.round(255 * Math.min(1, Math.max(0, (bound - colours[0]) / (colours[1] - colours[0]))));
    context.fillStyle = `rgb(${page.colours.slice(3 * shade, 3 * shade + 3).join(",")})`;
    context.fillRect(place(k - 0.5), height - bar, (width - THUMB) / (bounds.length - 1) + 1, bar);
  });
  const { review, defective } = state.at[state.model];
  for (const [k, dashes] of [[review, [4, 3]], ...(defective === null ? [] : [[defective, []]])]) {
    context.strokeStyle = style.getPropertyValue("--text");
    context.lineWidth = 1.5;
    context.setLineDash(dashes);
    context.beginPath();
    context.moveTo(place(k), 0);
    context.lineTo(place(k), floor);
    context.stroke();
  }
  const kinds = SCORE_KINDS.filter(([, , holds]) => page.images.some(holds));
  document.getElementById("score-legend").replaceChildren(
    element("span", {}, "Images by score (heights: square root of their number):"),
    ...kinds.map(([title, colour]) => element("span", {}, element("i", { style: `background: var(${colour})` }), title)),
    element("span", {}, `below: the colours of each ${model().map}${model().usual === null ? "" : `, where ${number(model().usual)} is as usual`}`),
  );
}

parts.push((what) => {
  if (panel === null) return;
  const { review, defective } = state.at[state.model];
  for (const [name, { slider, value }] of Object.entries(sliders)) {
    const k = name === "review" ? review : defective;
    slider.value = k;
    value.textContent = number(model().bounds[k]);
    slider.setAttribute("aria-valuetext", number(model().bounds[k]));
  }
  drawScores();
  document.getElementById("live").replaceChildren(...outcome(state.model).map((line) => element("li", {}, line)));
  if (what === "rests") for (const table of document.querySelectorAll("[data-tally]")) fillTally(table);
  document.body.classList.toggle("moved", page.models.some((_, m) => !ownThresholds(m)));
  const box = document.getElementById("permanent");
  const { bounds, command, judged: hasVerdicts } = model();
  if (ownThresholds(state.model)) {
    box.replaceChildren(
      hasVerdicts ? "These are the thresholds of the run. Move one: all pictures, counts and curves follow." : "Move the threshold: all pictures, counts and curves follow.",
    );
    return;
  }
  const back = element("button", { type: "button", id: "back" }, hasVerdicts ? "Back to the run’s" : "Back");
  back.addEventListener("click", () => {
    state.at[state.model] = { review: model().review, defective: model().defective };
    changed("rests");
  });
  const kept = element("span", { id: "command" });
  if (command !== null) showCommand(kept, `ssimae threshold ${command} --review ${bounds[review]} --defective ${bounds[defective]}`);
  box.replaceChildren(...(command === null ? [] : ["To keep them: ", kept, " "]), back);
});

// The table of verdicts at the top follows the sliders too.
function fillTally(table) {
  const rows = tallies(Number(table.dataset.tally));
  const part = (count, all) => `${count.toLocaleString("en")} (${share(all === 0 ? null : count / all)})`;
  table.tBodies[0].replaceChildren(
    ...rows
      .filter((row) => row.defective !== null)
      .map((row) =>
        element(
          "tr", {}, element("th", {}, row.kind),
          ...[
            row.images.toLocaleString("en"),
            part(row.flagged, row.images),
            row.review.toLocaleString("en"),
            row.defective && row.known ? part(row.placed, row.images) : "–",
          ].map((cell) => element("td", { class: "figure" }, cell)),
        ),
      ),
  );
}
