// What the page holds: models, images, and the state that the reader changes. Everything else follows `state`.

const page = JSON.parse(document.getElementById("content").textContent);

const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

page.colours = bytes(page.colours);
for (const image of page.images) {
  for (const row of image.rows) {
    if (row === null) continue;
    // At threshold k: the highest level that is marked, and how many defective and good pixels are.
    if (row.peaks !== undefined) row.peaks = bytes(row.peaks);
    if (row.hit !== undefined) {
      row.hit = new Uint32Array(bytes(row.hit).buffer);
      row.false = new Uint32Array(bytes(row.false).buffer);
    }
  }
}

const state = {
  // Number of the model that the sliders move and the cards tell of.
  model: 0,
  // Numbers of the two thresholds of each model among its `bounds`.
  at: page.models.map((model) => ({ review: model.review, defective: model.defective })),
  ticked: new Set(),
};

// Parts of the page that redraw themselves: after any move of a threshold, and once it rests.
const parts = [];

function changed(what) {
  for (const part of parts) part(what);
}

const model = () => page.models[state.model];

const ownThresholds = (m) =>
  state.at[m].review === page.models[m].review && state.at[m].defective === page.models[m].defective;

// Elements are made of text alone: no name of a file is ever read as markup.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const number = (value) => (Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4))));

const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

// A share never rounds something to nothing, or nothing to all.
function share(value) {
  if (value === null || Number.isNaN(value)) return "–";
  const percent = 100 * value;
  if (percent === 0 || percent === 100) return `${percent} %`;
  if (percent < 0.01) return "< 0.01 %";
  if (percent > 99.9) return "> 99.9 %";
  return percent < 1 ? `${percent.toFixed(2)} %` : `${percent.toFixed(1)} %`;
}

// A word of a command, as a POSIX shell reads it back.
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\"'\"'")}'`);

// A command with a button that copies it; also on pages opened from a file, where the clipboard may be out of reach.
function showCommand(box, command) {
  const code = element("code", {}, command);
  const copy = element("button", { type: "button", class: "copy" }, "Copy");
  copy.addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    copy.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
  box.replaceChildren(code, " ", copy);
}
