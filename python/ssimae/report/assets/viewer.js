// One image in full: its pictures side by side, zoomed and moved together.

const viewer = document.getElementById("viewer");
const sight = { index: 0, zoom: 1, x: 0, y: 0, tool: "move", opacity: 0.5, truth: true, brush: 24, hidden: new Set(), panes: [], found: null };
let stroke = null;

// Of several models, what they made of an image is shown first; their reconstructions on demand.
if (page.models.length > 1) page.models.forEach((_, m) => sight.hidden.add(`rebuilt-${m}`));

const MOST_ZOOM = 40;

function openViewer(index) {
  if (!isPictured(index)) return;
  if (!viewer.open) viewer.showModal();
  document.body.classList.add("viewing");
  show(index);
}

async function show(index) {
  sight.index = index;
  const found = await pictures(index, panes("all"));
  if (sight.index !== index) return;
  sight.found = found;
  layViewer();
  fit();
}

// The image before or after this one, in the order of the gallery.
function step(by) {
  const place = shownImages.indexOf(sight.index);
  const next = shownImages.filter((index) => isPictured(index));
  if (next.length === 0) return;
  const at = next.indexOf(sight.index);
  show(next[at < 0 ? Math.min(Math.max(place, 0), next.length - 1) : (at + by + next.length) % next.length]);
}

function layViewer() {
  const image = page.images[sight.index];
  const { verdict, fault, row, counts } = judged(image);
  const offered = panes("all");
  sight.panes = offered
    .filter(([view, m]) => !sight.hidden.has(`${view}-${m}`))
    .map(([view, m]) => {
      const base = element("canvas");
      const over = element("canvas", { class: "over" });
      const stage = element("div", { class: "stage" }, base, over);
      const box = element("div", { class: "view" }, stage);
      listen(box);
      return { view, m, base, over, stage, box, figure: element("figure", {}, box, element("figcaption", {}, viewTitle(view, m))) };
    });
  const button = (text, title, action, pressed) => {
    const made = element("button", { type: "button", title, "aria-pressed": pressed === undefined ? null : String(pressed) }, text);
    made.addEventListener("click", action);
    return made;
  };
  const opacity = element("input", { type: "range", min: 0, max: 1, step: 0.05, value: sight.opacity, "aria-label": "Opacity of the marks" });
  opacity.addEventListener("input", () => {
    sight.opacity = Number(opacity.value);
    paintViewer();
  });
  const brush = element("input", { type: "range", min: 4, max: Math.max(40, Math.round(Math.max(...image.size) / 4)), value: sight.brush, "aria-label": "Width of the brush" });
  brush.addEventListener("input", () => (sight.brush = Number(brush.value)));
  const tool = (name, text, key) => button(text, `${text} (${key})`, () => choose(name), sight.tool === name);
  const toggles = offered.length > 1
    ? offered.map(([view, m]) => {
        const key = `${view}-${m}`;
        return button(viewTitle(view, m), "show or hide", () => {
          if (sight.hidden.has(key)) sight.hidden.delete(key);
          else if (sight.panes.length > 1) sight.hidden.add(key);
          layViewer();
          fit();
        }, !sight.hidden.has(key));
      })
    : [];
  const good = !canTick(sight.index) ? "" : button("This is a good one", "tick it (g)", () => { tick(sight.index, !state.ticked.has(sight.index)); layViewer(); fit(); }, state.ticked.has(sight.index));
  viewer.replaceChildren(
    element(
      "header", {},
      element("h2", {}, image.name, " ", element("span", { class: "kind" }, image.defect)),
      ...(row === null ? [] : [badge(verdict), faultBadge(fault), element("span", { class: "numbers" }, `score ${number(row.score)}${counts?.covered == null ? "" : `, ${share(counts.covered)} of the defect marked`}`)]),
      element("span", { class: "space" }),
      good,
      button("‹", "previous image (left arrow)", () => step(-1)),
      element("span", { class: "numbers" }, `${shownImages.indexOf(sight.index) + 1} / ${shownImages.length}`),
      button("›", "next image (right arrow)", () => step(1)),
      button("Close", "Esc", () => viewer.close()),
    ),
    element(
      "div", { class: "tools" },
      element("span", { class: "group" }, button("−", "smaller (-)", () => zoomBy(1 / 1.5)), button("Fit", "whole image (0)", fit), button("+", "larger (+)", () => zoomBy(1.5))),
      element("span", { class: "group" }, ...toggles),
      element("label", {}, "Marks ", opacity),
      image.defective ? button("Truth", "outline of the ground truth (t)", () => { sight.truth = !sight.truth; layViewer(); fit(); }, sight.truth) : "",
      element("span", { class: "group" }, tool("move", "Move", "v"), tool("rectangle", "Rectangle", "r"), tool("brush", "Brush", "b")),
      sight.tool === "brush" ? element("label", {}, "Width ", brush) : "",
    ),
    element("div", { class: "views" }, ...sight.panes.map(({ figure }) => figure)),
    element("footer", {}, maskHelp(button), ...image.problems.map((problem) => element("p", { class: "problem" }, problem)),
      element("p", {}, element("a", { href: image.link, target: "_blank" }, "Open the original file"),
        ` (${image.size.join(" × ")} pixels${image.size[0] > image.preview[0] ? `; shown at ${image.preview.join(" × ")}, each pixel of a map the highest it stands for` : ""}).`,
        " Keys: arrows, + − 0, m marks, t truth, g good, v r b tools, Esc.")),
  );
  arrangeViews();
  paintViewer();
}

// As many columns as show the pictures largest.
function arrangeViews() {
  const views = viewer.querySelector(".views");
  const count = sight.panes.length;
  const [width, height] = page.images[sight.index].size;
  const scale = (columns) => Math.min(views.clientWidth / columns / width, views.clientHeight / Math.ceil(count / columns) / height);
  const columns = sight.panes.map((_, place) => place + 1);
  const best = columns.reduce((a, b) => (scale(b) > scale(a) ? b : a));
  views.style.gridTemplateColumns = `repeat(${best}, minmax(0, 1fr))`;
}

// What can be done with a drawing, once there is one or a tool for it is taken.
function maskHelp(button) {
  const shapes = shapesOf(sight.index);
  if (shapes.length === 0 && sight.tool === "move") return "";
  const told = element("span", { id: "mask-told", role: "status" });
  const inspect = page.inspect === null ? "" : element("code", {}, `${page.inspect} --ignore masks/`);
  return element(
    "div", { class: "mask" },
    element("p", {}, "Draw over what shall not be inspected. ",
      button("Undo", "take back the last shape (u)", undo), " ",
      button("Clear", "take back all shapes", () => { drawings.set(sight.index, []); layViewer(); fit(); }), " ",
      button("Save mask", `a PNG of ${page.images[sight.index].size.join(" × ")} pixels, white where nothing is inspected`, () => saveMask(sight.index, (text) => (told.textContent = text))), " ", told),
    element("p", {}, `Put ${maskName(sight.index)} into a folder, here masks/. It belongs to each image of this name; in a subfolder called as the image’s, to that alone. Give the folder, or this one mask for all images, with --ignore: `, inspect),
  );
}

function undo() {
  shapesOf(sight.index).pop();
  layViewer();
  fit();
}

function choose(tool) {
  sight.tool = tool;
  layViewer();
  place();
}

function paintViewer() {
  const { found } = sight;
  for (const { base, over, view, m } of sight.panes) {
    paint(base, found, view, m, { opacity: sight.opacity, truth: sight.truth });
    [over.width, over.height] = [found.width, found.height];
  }
  paintShapes();
}

function paintShapes() {
  const { found } = sight;
  const [width, height] = page.images[sight.index].size;
  for (const { over } of sight.panes) {
    const context = over.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, over.width, over.height);
    context.setTransform(found.width / width, 0, 0, found.height / height, 0, 0);
    drawShapes(context, stroke === null ? shapesOf(sight.index) : [...shapesOf(sight.index), stroke], "rgb(80 130 255 / 60%)");
  }
}

// Pixels of the screen for a pixel of a picture that fits its pane.
function fitted() {
  const { box } = sight.panes[0];
  return Math.min(box.clientWidth / sight.found.width, box.clientHeight / sight.found.height);
}

function fit() {
  const { box } = sight.panes[0];
  sight.zoom = 1;
  sight.x = (box.clientWidth - fitted() * sight.found.width) / 2;
  sight.y = (box.clientHeight - fitted() * sight.found.height) / 2;
  place();
}

function place() {
  const scale = fitted() * sight.zoom;
  for (const { stage } of sight.panes) {
    stage.style.width = `${sight.found.width}px`;
    stage.style.height = `${sight.found.height}px`;
    stage.style.transform = `translate(${sight.x}px, ${sight.y}px) scale(${scale})`;
    stage.classList.toggle("pixels", scale > 2.5);
  }
}

// Zoom about a point of a pane, by default its middle.
function zoomBy(factor, x, y) {
  const { box } = sight.panes[0];
  const [px, py] = [x ?? box.clientWidth / 2, y ?? box.clientHeight / 2];
  const zoom = Math.min(MOST_ZOOM, Math.max(0.5, sight.zoom * factor));
  sight.x = px - ((px - sight.x) * zoom) / sight.zoom;
  sight.y = py - ((py - sight.y) * zoom) / sight.zoom;
  sight.zoom = zoom;
  place();
}

function listen(box) {
  const pointers = new Map();
  const within = (event) => {
    const { left, top } = box.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  const onImage = (event) => {
    const [x, y] = within(event);
    const [width, height] = page.images[sight.index].size;
    const scale = fitted() * sight.zoom;
    return [((x - sight.x) / scale) * (width / sight.found.width), ((y - sight.y) / scale) * (height / sight.found.height)];
  };
  box.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / 400), ...within(event));
  }, { passive: false });
  box.addEventListener("pointerdown", (event) => {
    box.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, within(event));
    if (sight.tool === "rectangle") stroke = { kind: "rectangle", from: onImage(event), to: onImage(event) };
    if (sight.tool === "brush") stroke = { kind: "brush", width: sight.brush, points: [onImage(event)] };
    paintShapes();
  });
  box.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const [before, now] = [pointers.get(event.pointerId), within(event)];
    pointers.set(event.pointerId, now);
    if (stroke !== null) {
      if (stroke.kind === "rectangle") stroke.to = onImage(event);
      else stroke.points.push(onImage(event));
      paintShapes();
    } else if (pointers.size === 1) {
      sight.x += now[0] - before[0];
      sight.y += now[1] - before[1];
      place();
    } else {
      // Two fingers: their distance zooms about the one that rests.
      const [, other] = [...pointers].find(([id]) => id !== event.pointerId);
      const distance = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
      zoomBy(distance(now) / Math.max(1, distance(before)), ...other);
    }
  });
  const end = (event) => {
    pointers.delete(event.pointerId);
    if (stroke === null) return;
    shapesOf(sight.index).push(stroke);
    stroke = null;
    layViewer();
    place();
  };
  box.addEventListener("pointerup", end);
  box.addEventListener("pointercancel", end);
}

const KEYS = {
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  "+": () => zoomBy(1.5),
  "=": () => zoomBy(1.5),
  "-": () => zoomBy(1 / 1.5),
  0: fit,
  m: () => { sight.opacity = sight.opacity > 0 ? 0 : 0.5; layViewer(); place(); },
  t: () => { sight.truth = !sight.truth; layViewer(); place(); },
  g: () => { tick(sight.index, !state.ticked.has(sight.index)); layViewer(); place(); },
  u: undo,
  v: () => choose("move"),
  r: () => choose("rectangle"),
  b: () => choose("brush"),
};

viewer.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  // Arrows move a slider that has the focus.
  if (event.target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
  event.preventDefault();
  KEYS[event.key]();
});
viewer.addEventListener("close", () => {
  document.body.classList.remove("viewing");
  const { open } = cards[sight.index];
  open.scrollIntoView({ block: "nearest" });
  open.focus({ preventScroll: true });
});
addEventListener("resize", () => {
  if (!viewer.open || sight.found === null) return;
  arrangeViews();
  fit();
});
