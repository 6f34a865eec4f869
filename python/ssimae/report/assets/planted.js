// Which planted defects are found over their size: the curves, the ticks and the sentences of the nearest threshold.

const SIZES = { left: 46, right: 12, top: 40, bottom: 56, width: 460, height: 320 };
const TICK = 7;

// The step that holds at a threshold: the nearest one, and of equal ones the first is kept.
function stepAt(planted, k) {
  return planted.steps.reduce((best, step) => (Math.abs(step.from - k) < Math.abs(best.from - k) ? step : best));
}

function drawPlanted(figure, planted, k) {
  const step = stepAt(planted, k);
  const [low, high] = [Math.min(...planted.sizes) / 1.1, Math.max(...planted.sizes) * 1.1];
  const across = (size) => SIZES.left + (Math.log(size / low) / Math.log(high / low)) * (SIZES.width - SIZES.left - SIZES.right);
  const down = (value) => SIZES.height - SIZES.bottom - value * (SIZES.height - SIZES.top - SIZES.bottom);
  const made = [];
  for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
    made.push(svg("line", { class: "grid", x1: SIZES.left, x2: SIZES.width - SIZES.right, y1: down(tick), y2: down(tick) }));
    made.push(svg("text", { x: SIZES.left - 6, y: down(tick) + 4, "text-anchor": "end" }, String(tick)));
  }
  made.push(svg("line", { class: "limit", x1: SIZES.left, x2: SIZES.width - SIZES.right, y1: down(0.9), y2: down(0.9) }));
  const decades = [1, 10, 100, 1000].flatMap((ten) => [ten, 2 * ten, 5 * ten]).filter((tick) => tick >= low && tick <= high);
  for (const tick of decades) {
    made.push(svg("line", { class: "grid", x1: across(tick), x2: across(tick), y1: down(0), y2: down(1) }));
    made.push(svg("text", { x: across(tick), y: SIZES.height - 20, "text-anchor": "middle" }, String(tick)));
  }
  made.push(svg("text", { x: (SIZES.left + SIZES.width) / 2, y: SIZES.height - 4, "text-anchor": "middle" }, "Size of the defect in pixels"));
  made.push(svg("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(12 ${(down(0) + down(1)) / 2}) rotate(-90)` }, "Probability of detection"));
  const style = (g) => (g < planted.groups.length ? STYLES[g % STYLES.length] : ["--text", ""]);
  step.curves.forEach((curve, g) => {
    if (curve === null) return;
    const line = (values) => curve.sizes.map((size, place) => `${across(size).toFixed(1)},${down(values[place]).toFixed(1)}`);
    made.push(svg("polygon", { points: [...line(curve.pod), ...line(curve.lower).reverse()].join(" "), style: `fill: var(${style(g)[0]}); opacity: 0.12` }));
    made.push(svg("polyline", { class: "curve", points: line(curve.pod).join(" "), style: `stroke: var(${style(g)[0]})`, "stroke-dasharray": style(g)[1] }));
    if (curve.sure !== null) made.push(svg("circle", { class: "point", cx: across(curve.sure), cy: down(0.9), r: 5, style: `fill: var(${style(g)[0]})` }));
  });
  planted.sizes.forEach((size, place) => {
    const [g, hit] = [planted.group[place], step.hits[place] === "1"];
    const y = hit ? down(1) - 4 - TICK * (g + 1) : down(0) + 4 + TICK * g;
    made.push(svg("line", { class: hit ? "hit" : "miss", x1: across(size), x2: across(size), y1: y, y2: y + TICK - 2, style: `stroke: var(${style(g)[0]})` }));
  });
  const keys = planted.groups.map(([name, range], g) => {
    const own = planted.group.map((one, place) => [one, place]).filter(([one]) => one === g);
    const found = own.filter(([, place]) => step.hits[place] === "1").length;
    return element("li", {}, lineKey(style(g)), ` ${name} (${range}): ${found} of ${own.length} found`);
  });
  figure.querySelector("img, .moving")?.replaceWith(element(
    "div", { class: "moving" },
    svg("svg", { viewBox: `0 0 ${SIZES.width} ${SIZES.height}`, role: "img", "aria-label": "Probability of detection" }, ...made),
    element("ul", { class: "key" }, ...keys),
  ));
  const list = document.querySelector(`[data-sentences="${figure.dataset.detection}"]`);
  list.replaceChildren(...step.sentences.map((sentence) => element("li", {}, sentence)));
}

parts.push(() => {
  for (const figure of document.querySelectorAll("[data-detection]")) {
    const m = Number(figure.dataset.detection);
    if (page.models[m].planted) drawPlanted(figure, page.models[m].planted, state.at[m].review);
  }
});
