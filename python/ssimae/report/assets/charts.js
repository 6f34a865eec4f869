// ROC, PRO and overlap curves, with a point on each where the thresholds of the moment are.

const SVG = "http://www.w3.org/2000/svg";
const STYLES = [["--line-1", ""], ["--line-2", "7 3"], ["--line-3", "7 3 2 3"], ["--line-4", "2 3"], ["--line-5", "10 3"], ["--line-6", "4 2"]];
const FRAME = { left: 46, right: 12, top: 10, bottom: 40, width: 420, height: 300 };
const LOWEST_RATE = 1e-4;
const charts = document.getElementById("charts");
// Thresholds that let through few good pixels would all lie on one edge of a linear axis.
let logarithmic = page.models.some(({ rates, review }) => rates !== null && rates.fpr[review] < 0.02);

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const across = (rate) => {
  const place = logarithmic ? Math.log(Math.max(rate, LOWEST_RATE) / LOWEST_RATE) / Math.log(1 / LOWEST_RATE) : rate;
  return FRAME.left + place * (FRAME.width - FRAME.left - FRAME.right);
};
const down = (value) => FRAME.height - FRAME.bottom - value * (FRAME.height - FRAME.top - FRAME.bottom);

// The line of a curve, as a legend shows it.
const lineKey = ([colour, dashes]) =>
  svg("svg", { width: 26, height: 10 }, svg("line", { class: "curve", x1: 0, x2: 26, y1: 5, y2: 5, style: `stroke: var(${colour})`, "stroke-dasharray": dashes }));

// The value of a curve between its points.
function along([xs, ys], x) {
  let next = xs.findIndex((value) => value >= x);
  if (next < 0) next = xs.length - 1;
  // Of points above each other, the last: that many pixels are let through.
  while (next + 1 < xs.length && xs[next + 1] === x) next += 1;
  if (next === 0 || xs[next] === x) return ys[next];
  const part = (x - xs[next - 1]) / (xs[next] - xs[next - 1]);
  return ys[next - 1] + part * (ys[next] - ys[next - 1]);
}

// Lines are { title, xs, ys, style, m }; a line of model m has a point at that model's threshold.
function drawChart(title, yLabel, lines, caption, limit) {
  const ticks = logarithmic ? [1e-4, 1e-3, 1e-2, 0.1, 1] : [0, 0.2, 0.4, 0.6, 0.8, 1];
  const parts = [];
  for (const tick of ticks) {
    parts.push(svg("line", { class: "grid", x1: across(tick), x2: across(tick), y1: down(0), y2: down(1) }));
    parts.push(svg("text", { x: across(tick), y: down(0) + 15, "text-anchor": "middle" }, logarithmic && tick < 0.1 ? tick.toExponential().replace("e-", "e−") : String(tick)));
  }
  for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
    parts.push(svg("line", { class: "grid", x1: across(ticks[0]), x2: across(1), y1: down(tick), y2: down(tick) }));
    parts.push(svg("text", { x: FRAME.left - 6, y: down(tick) + 4, "text-anchor": "end" }, String(tick)));
  }
  if (limit !== null) parts.push(svg("line", { class: "limit", x1: across(limit), x2: across(limit), y1: down(0), y2: down(1) }));
  parts.push(svg("text", { x: (across(ticks[0]) + across(1)) / 2, y: FRAME.height - 6, "text-anchor": "middle" }, "False positive rate (good pixels)"));
  parts.push(svg("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(12 ${(down(0) + down(1)) / 2}) rotate(-90)` }, yLabel));
  for (const { curve, style } of lines) {
    const points = curve[0].map((x, place) => `${across(x).toFixed(1)},${down(curve[1][place]).toFixed(1)}`);
    parts.push(svg("polyline", { class: "curve", points: points.join(" "), style: `stroke: var(${style[0]})`, "stroke-dasharray": style[1] }));
  }
  for (const { curve, style, m } of lines) {
    const { rates } = page.models[m];
    if (rates === null) continue;
    const rate = rates.fpr[state.at[m].review];
    parts.push(svg("circle", { class: "point", cx: across(rate), cy: down(along(curve, rate)), r: 5, style: `fill: var(${style[0]})` }));
  }
  const legend = lines.map(({ title: text, style, curve, m }) => {
    const { rates } = page.models[m];
    const at = rates === null ? "" : `: ${share(along(curve, rates.fpr[state.at[m].review]))} at a false positive rate of ${share(rates.fpr[state.at[m].review])}`;
    return element("li", {}, lineKey(style), ` ${text}${at}`);
  });
  return element(
    "figure", {}, element("h3", {}, title),
    svg("svg", { viewBox: `0 0 ${FRAME.width} ${FRAME.height}`, role: "img", "aria-label": title }, ...parts),
    element("ul", { class: "key" }, ...legend),
    element("figcaption", {}, caption),
  );
}

function drawCharts() {
  if (charts === null) return;
  const models = page.models.map((one, m) => ({ ...one, m, style: STYLES[m % STYLES.length] })).filter((one) => one.curves !== null);
  const moving = "The dot follows the threshold.";
  const limit = models[0].curves.limit;
  const roc = models.map(({ title, curves, m, style }) => ({ title: `${title}, AUROC ${curves.auroc}`, curve: curves.roc, m, style }));
  const pro = models.map(({ title, curves, m, style }) => ({ title: `${title}, AU-PRO ${curves.auPro}`, curve: curves.pro, m, style }));
  charts.replaceChildren(
    drawChart("ROC of pixels", "True positive rate", roc, `Every level of the map as threshold, all pixels of all images together. ${moving}`, null),
    drawChart("Per-region overlap", "Mean covered share of the regions", pro, `Each defect region counts alike, however small. AU-PRO is the area left of the dotted line, at ${limit}, divided by that width. ${moving}`, limit),
    ...models.map(({ title, curves, m }) =>
      drawChart(
        `Region overlap of ${title}`, "Covered share of a region",
        curves.overlap.lines.map(([name, ys], place) => ({ title: name, curve: [curves.overlap.rates, ys], m, style: STYLES[place % STYLES.length] })),
        `How much of a defect region is covered when the threshold lets through that share of good pixels (Bergmann et al. 2019, fig. 7). ${moving}`, null,
      ),
    ),
  );
}

parts.push(drawCharts);
