// Put the page together.

buildFilters();
buildPanel();
layAll();

const lowRates = document.getElementById("low-rates");
if (lowRates !== null) lowRates.checked = logarithmic;
lowRates?.addEventListener("change", () => {
  logarithmic = lowRates.checked;
  drawCharts();
});

// Cards out of view are not painted; a page on paper needs them all.
document.getElementById("print")?.addEventListener("click", async () => {
  for (const index of shownImages) {
    inView.add(index);
    await paintCard(index);
  }
  window.print();
});

for (const link of document.querySelectorAll("a[data-image]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    openViewer(Number(link.dataset.image));
  });
}

changed("rests");
document.documentElement.dataset.ready = "true";
