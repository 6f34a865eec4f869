// Pictures of one image: decoded when they come into view, and painted for the thresholds of the moment.

const GREEN = [0, 190, 60];
const RED = [230, 0, 0];
const IGNORED_LIGHT = 0.35;
const GROUND = 90;
const KEPT = 60;

const decoded = new Map();
const scratch = document.createElement("canvas");

const isPictured = (index) => document.getElementById(`pictures-${index}`) !== null;

// What each view paints from; all but the original and the masks are a model's own.
const NEEDS = { original: ["original"], rebuilt: ["rebuilt"], map: ["map"], marks: ["original", "masks", "opened"] };

// The pictures of an image that some panes need. Those of a few images are kept, so that paging back and forth is quick.
async function pictures(index, shown) {
  const found = decoded.get(index) ?? newPictures(index);
  decoded.delete(index);
  decoded.set(index, found);
  if (decoded.size > KEPT) decoded.delete(decoded.keys().next().value);
  await Promise.all(shown.flatMap(([view, m]) => NEEDS[view].map((name) => found.decode(name, m))));
  return found;
}

function newPictures(index) {
  const stored = JSON.parse(document.getElementById(`pictures-${index}`).textContent);
  const [width, height] = page.images[index].preview;
  const found = { width, height, original: null, masks: null, outline: null, maps: stored.maps.map(() => ({ map: null, opened: null, rebuilt: null })) };
  const begun = new Map();
  const decode = async (name, m) => {
    const own = name === "original" || name === "masks";
    const uri = own ? stored[name] : stored.maps[m][name];
    if (uri === null) return;
    const image = new Image();
    image.src = uri;
    await image.decode();
    (own ? found : found.maps[m])[name] = name === "original" || name === "rebuilt" ? colours(image) : plane(image);
    if (name === "masks") found.outline = outlineOf(found.masks, width, height);
  };
  const colours = (image) => {
    [scratch.width, scratch.height] = [width, height];
    const context = scratch.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, width, height).data;
  };
  const plane = (image) => {
    const pixels = colours(image);
    const values = new Uint8Array(width * height);
    for (let pixel = 0; pixel < values.length; pixel++) values[pixel] = pixels[4 * pixel];
    return values;
  };
  found.decode = (name, m) => {
    const key = name === "original" || name === "masks" ? name : `${name}-${m}`;
    if (!begun.has(key)) begun.set(key, decode(name, m));
    return begun.get(key);
  };
  return found;
}

// A line of two pixels, one outside and one inside, seen also on the smallest defect and at the image's border.
function outlineOf(masks, width, height) {
  const outline = new Uint8Array(width * height);
  const defective = (row, column) => row >= 0 && row < height && column >= 0 && column < width && masks[row * width + column] === 1;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      let inside = 0;
      for (let r = row - 1; r <= row + 1; r++) for (let c = column - 1; c <= column + 1; c++) inside += defective(r, c);
      outline[row * width + column] = inside > 0 && inside < 9;
    }
  }
  return outline;
}

// What a canvas can show. Each function fills RGBA; it returns false where a file is missing.
const VIEWS = {
  original: (found, m, out) => fill(out, found.original),
  rebuilt: (found, m, out) => fill(out, found.maps[m].rebuilt),
  map: (found, m, out) => {
    const { map } = found.maps[m];
    if (map === null) return false;
    for (let pixel = 0; pixel < map.length; pixel++) {
      for (let c = 0; c < 3; c++) out[4 * pixel + c] = page.colours[3 * map[pixel] + c];
      out[4 * pixel + 3] = 255;
    }
    return true;
  },
  marks: (found, m, out, options) => paintMarks(found, found.maps[m].opened, state.at[m].review, out, options),
};

function fill(out, colours) {
  if (colours === null) return false;
  out.set(colours);
  return true;
}

function paintMarks(found, opened, threshold, out, { opacity = 0.5, truth = true } = {}) {
  const { width, height, original, masks, outline } = found;
  // Without its map nothing is marked, and the original is shown all the same.
  if (opened === null && original === null) return false;
  const colour = (place, [red, green, blue], alpha) => {
    out[place] = (1 - alpha) * out[place] + alpha * red;
    out[place + 1] = (1 - alpha) * out[place + 1] + alpha * green;
    out[place + 2] = (1 - alpha) * out[place + 2] + alpha * blue;
  };
  for (let row = 0, pixel = 0; row < height; row++) {
    for (let column = 0; column < width; column++, pixel++) {
      const place = 4 * pixel;
      let gray = original === null ? GROUND : (original[place] + original[place + 1] + original[place + 2]) / 3;
      if (masks !== null && masks[pixel] === 2) gray *= IGNORED_LIGHT;
      out[place] = out[place + 1] = out[place + 2] = gray;
      out[place + 3] = 255;
      if (opacity > 0 && opened !== null && opened[pixel] > threshold)
        colour(place, GREEN, inside(opened, threshold, row, column, width, height) ? opacity : 1);
      if (truth && outline !== null && outline[pixel] === 1) colour(place, RED, 1);
    }
  }
  return true;
}

// Whether all neighbours of a marked pixel are marked. The rim is opaque: a region of a few pixels is lost otherwise in a
// bright texture.
function inside(opened, threshold, row, column, width, height) {
  if (row === 0 || column === 0 || row === height - 1 || column === width - 1) return false;
  for (let r = row - 1; r <= row + 1; r++)
    for (let c = column - 1; c <= column + 1; c++) if (opened[r * width + c] <= threshold) return false;
  return true;
}

function paint(canvas, found, view, m, options) {
  const image = new ImageData(found.width, found.height);
  const shown = VIEWS[view](found, m, image.data, options);
  [canvas.width, canvas.height] = [found.width, found.height];
  const context = canvas.getContext("2d");
  if (shown) context.putImageData(image, 0, 0);
  else {
    context.fillStyle = "#888";
    context.textAlign = "center";
    context.font = `${Math.max(10, found.width / 16)}px sans-serif`;
    context.fillText("not available", found.width / 2, found.height / 2);
  }
}

// Titles of what a canvas shows; of several models, with the model's name.
function viewTitle(view, m) {
  const named = { original: "Original", rebuilt: "Reconstruction", map: page.models[m].map, marks: "Marks" }[view];
  const title = named[0].toUpperCase() + named.slice(1);
  return page.models.length > 1 && view !== "original" ? `${title}, ${page.models[m].title}` : title;
}

// Which canvases stand side by side when the reader asks for a view: of several models, like beside like.
function panes(view) {
  const models = page.models.map((_, m) => m);
  if (view === "original") return [["original", 0]];
  if (view !== "all") return models.map((m) => [view, m]);
  const rebuilt = models.filter((m) => page.models[m].rebuilds).map((m) => ["rebuilt", m]);
  const maps = models.map((m) => ["map", m]);
  const marks = models.map((m) => ["marks", m]);
  return models.length > 1 ? [["original", 0], ...marks, ...maps, ...rebuilt] : [["original", 0], ...rebuilt, ...maps, ...marks];
}
