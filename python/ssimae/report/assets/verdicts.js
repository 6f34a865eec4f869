// The verdict on an image at the thresholds the reader has set, and how many there are of each.

function verdictOf(image, m) {
  const row = image.rows[m];
  if (row === null) return null;
  const { bounds, judged: hasVerdicts } = page.models[m];
  const { review, defective } = state.at[m];
  if (row.verdict !== null && ownThresholds(m)) return row.verdict;
  let peak;
  if (row.peaks !== undefined) peak = row.peaks[review];
  // Without its map, the score tells: the level that a region large enough reaches.
  else if (row.score > bounds[review]) peak = row.score > bounds[defective] ? bounds.length : review + 1;
  else peak = 0;
  if (!hasVerdicts) return peak > 0 ? "flagged" : "good";
  if (peak === 0) return row.whole ? "review" : "good";
  return peak > defective ? "defective" : "review";
}

// Pixels marked against the truth; null where that is not known.
function countsOf(image, m) {
  const row = image.rows[m];
  if (row === null || row.hit === undefined) return null;
  const k = state.at[m].review;
  const [hit, wrong] = [row.hit[k], row.false[k]];
  return {
    hit,
    false: wrong,
    defective: row.defectivePx,
    good: row.goodPx,
    covered: row.defectivePx > 0 ? hit / row.defectivePx : null,
    falseShare: row.goodPx > 0 ? wrong / row.goodPx : null,
    // Intersection over union; of an image without a defect, the share left unmarked.
    quality: row.defectivePx > 0 ? hit / (row.defectivePx + wrong) : 1 - wrong / Math.max(1, row.goodPx),
  };
}

function faultOf(image, m, verdict, counts) {
  if (image.defective === null || verdict === null) return null;
  if (!image.defective) return verdict === "good" ? null : "false alarm";
  if (counts !== null && counts.defective === 0) return null;
  if (verdict === "good") return "missed";
  if (counts !== null && counts.hit === 0) return counts.false > 0 ? "misplaced" : "not located";
  return null;
}

function judged(image, m = state.model) {
  const verdict = verdictOf(image, m);
  const counts = countsOf(image, m);
  return { verdict, counts, fault: faultOf(image, m, verdict, counts), row: image.rows[m] };
}

const GOOD_KINDS = { good: "good", training: "good, inspected themselves", unlabelled: "unlabelled" };

// A row for all defective images, each kind of defect, and good images.
function tallies(m) {
  const rows = new Map();
  const add = (kind, image, found) => {
    if (!rows.has(kind)) rows.set(kind, { kind, images: 0, flagged: 0, review: 0, placed: 0, known: true, defective: image.defective });
    const row = rows.get(kind);
    row.images += 1;
    if (found.verdict === "good") return;
    row.flagged += 1;
    row.review += found.verdict === "review";
    if (found.counts === null) row.known = false;
    else row.placed += found.counts.hit > 0;
  };
  const order = (image) => (image.defective ? 0 : image.defective === null ? 2 : 1);
  const sorted = [...page.images].sort((a, b) => order(a) - order(b) || a.defect.localeCompare(b.defect));
  const several = new Set(page.images.filter((image) => image.defective).map((image) => image.defect)).size > 1;
  for (const image of sorted) {
    const found = judged(image, m);
    if (found.verdict === null) continue;
    if (several && image.defective) add("all defective", image, found);
    add(image.defective ? image.defect : GOOD_KINDS[image.defect] ?? image.defect, image, found);
  }
  return [...rows.values()].sort((a, b) => (b.kind === "all defective") - (a.kind === "all defective"));
}

// What the verdicts come to, a line each: good images, defective ones, those without truth, and pixels.
function outcome(m) {
  if (page.models[m].counted === false) return ["No verdict counts: the training collapsed, so the network has learned nothing."];
  const good = { images: 0, pass: 0 };
  const defective = { images: 0, flagged: 0, placed: 0, located: true };
  const unknown = new Map();
  const pixels = { hit: 0, defective: 0, false: 0, good: 0, known: true };
  for (const image of page.images) {
    const { verdict, counts } = judged(image, m);
    if (verdict === null) continue;
    if (counts === null) pixels.known = false;
    else for (const name of ["hit", "defective", "false", "good"]) pixels[name] += counts[name];
    if (image.defective === null) unknown.set(verdict, (unknown.get(verdict) ?? 0) + 1);
    else if (!image.defective) {
      good.images += 1;
      good.pass += verdict === "good";
    } else {
      defective.images += 1;
      if (verdict === "good") continue;
      defective.flagged += 1;
      if (counts === null) defective.located = false;
      else defective.placed += counts.hit > 0;
    }
  }
  const place = defective.located && defective.flagged > 0 ? `, ${defective.placed} of them in the right place` : "";
  return [
    good.images > 0 ? `Good images: ${good.pass} of ${good.images} pass` : null,
    defective.images > 0 ? `Defective images: ${defective.flagged} of ${defective.images} flagged${place}` : null,
    unknown.size > 0 ? `Images: ${[...unknown].sort().map(([verdict, count]) => `${count} ${verdict}`).join(", ")}` : null,
    pixels.known && pixels.defective > 0
      ? `Pixels marked: ${share(pixels.hit / pixels.defective)} of the defective, ${share(pixels.false / pixels.good)} of the good`
      : null,
  ].filter((line) => line !== null);
}
