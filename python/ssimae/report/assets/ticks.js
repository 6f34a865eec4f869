// "This is a good one": ticks that collect the command which teaches the model so.

const tickBar = document.getElementById("ticks");
const tickBoxes = new Map();

// An image known to be defective is nothing to learn from.
const canTick = (index) => page.improve !== null && page.images[index].defective !== true;

function tickBox(index) {
  if (!canTick(index)) return null;
  const box = element("input", { type: "checkbox" });
  box.addEventListener("change", () => tick(index, box.checked));
  tickBoxes.set(index, box);
  return element("label", { class: "tick" }, box, " this is a good one");
}

function tick(index, on) {
  if (!canTick(index)) return;
  if (on) state.ticked.add(index);
  else state.ticked.delete(index);
  tickBoxes.get(index).checked = on;
  cards[index].card.classList.toggle("ticked", on);
  showTicks();
}

function showTicks() {
  tickBar.hidden = state.ticked.size === 0;
  if (tickBar.hidden) return;
  const paths = [...state.ticked].sort((a, b) => a - b).map((index) => quoted(page.images[index].path));
  const command = element("span", { id: "improve" });
  showCommand(command, `ssimae improve ${page.improve} --good ${paths.join(" ")}`);
  const clear = element("button", { type: "button" }, "Clear");
  clear.addEventListener("click", () => {
    for (const index of [...state.ticked]) tick(index, false);
  });
  tickBar.replaceChildren(element("b", {}, `${plural(state.ticked.size, "image")} ticked as good.`), " To teach the model: ", command, " ", clear);
}

// Ticks live in the page alone.
addEventListener("beforeunload", (event) => {
  if (state.ticked.size > 0) event.preventDefault();
});
