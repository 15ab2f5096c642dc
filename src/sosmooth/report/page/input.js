// One input: its certificates, the counts, the extremal regions, the radii from more samples, and
// what the classifier saw.
let current = null;

const openInput = (i) => (location.hash = `#input-${inputs.name[i]}`);

function route() {
  const name = location.hash.match(/^#input-(.+)$/)?.[1];
  const before = current;
  current = byName.get(name) ?? null;
  document.getElementById("overview").hidden = current !== null;
  document.getElementById("input").hidden = current === null;
  if (current !== null) {
    drawInput();
    scrollTo(0, 0);
    document.getElementById("input-title").focus({ preventScroll: true });
  } else if (before !== null) {
    const link = document.querySelector(`a[href="#input-${CSS.escape(inputs.name[before])}"]`);
    link?.focus();
    link?.scrollIntoView({ block: "center" });
  }
}

function drawInput() {
  const i = current;
  const looking = shownRuns().filter((run) => looked(run, i));
  const list = found();
  const place = list.indexOf(i);
  const go = (to, words) =>
    to === undefined ? null : make("a", { href: `#input-${inputs.name[to]}` }, words);
  const label = inputs.label[i] === null ? "" : `, label ${called(inputs.label[i])}`;
  document
    .getElementById("input")
    .replaceChildren(
      make(
        "nav",
        { class: "way", "aria-label": "inputs" },
        make("a", { href: "#", id: "back" }, "↩ all inputs"),
        go(list[place - 1], "← previous"),
        go(place < 0 ? undefined : list[place + 1], "next →"),
      ),
      make("h2", { id: "input-title", tabindex: "-1" }, `Input ${inputs.name[i]}${label}`),
      make(
        "div",
        { class: "beside" },
        data.noisy?.[inputs.name[i]] ? null : thumbnail(i, 168),
        contents(i),
        make("div", { class: "card scroll" }, certificateTable(looking, i)),
      ),
      ...noisyPictures(i),
      make("h3", {}, "What was counted"),
      make("div", { class: "card" }, ...countBars(looking, i)),
      ...regions(looking, i),
    );
}

// The text of an input, or its features.
function contents(i) {
  const { texts, names, rows, left } = data.contents ?? {};
  if (texts?.[i] != null) return make("blockquote", { class: "card contents" }, texts[i]);
  if (!rows?.[i]) return null;
  const row = (name, value) =>
    make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value));
  return make(
    "div",
    { class: "card scroll contents" },
    make(
      "table",
      {},
      make("caption", { class: "hidden" }, "Features"),
      make("tbody", {}, ...names.map((name, k) => row(name, rows[i][k]))),
    ),
    left ? make("p", { class: "note" }, `and ${count(left)} more`) : null,
  );
}

function certificateTable(looking, i) {
  const rows = [
    [
      "answer",
      (run) =>
        certified(run, i)
          ? make(
              "span",
              { class: wrong(run, i) ? "wrong" : "" },
              `${called(run.prediction[i])}${wrong(run, i) ? " ✗" : ""}`,
            )
          : abstained(run, i),
    ],
    ["radius", (run) => decimal(run.radius[i], 5)],
    ["p ≥", (run) => (run.p[i] === null ? "—" : decimal(run.p[i], 6))],
    ["samples", (run) => count(run.n[i])],
    [
      "leading classes",
      (run) =>
        run.leading[i]
          ?.map(([one, fraction]) => `${called(one)} ${percent(fraction / 1e6, 1)}`)
          .join(", ") ?? "",
    ],
    ["what ends the radius", (run) => limit(run, i)],
    ...data.factors.map((factor, k) => [
      `radius from ${factor} × the samples, about`,
      (run) => (run.more[k] ? decimal(run.more[k][i]) : "—"),
    ]),
    ["failure probability", (run) => String(run.alpha)],
    ["reason", (run) => data.reasons[run.reason[i]] ?? ""],
  ].filter(
    ([title, cell]) =>
      !["reason", "leading classes", "what ends the radius"].includes(title) ||
      looking.some((run) => cell(run) !== ""),
  );
  const name = (run) =>
    make(
      "th",
      { scope: "col" },
      swatch(run),
      run.name,
      run.method === run.name ? null : make("div", { class: "faint" }, run.method),
    );
  return make(
    "table",
    { class: "columns" },
    make("thead", {}, make("tr", {}, make("td"), ...looking.map(name))),
    make(
      "tbody",
      {},
      ...rows.map(([title, cell]) =>
        make(
          "tr",
          {},
          make("th", { scope: "row" }, title),
          ...looking.map((run) => make("td", {}, cell(run))),
        ),
      ),
    ),
  );
}

function limit(run, i) {
  const one = run.limit[i] ?? null;
  if (one === null) return "";
  if (one === -1) return "one half";
  const rival = one === -2 ? "a class that was never returned" : `class ${called(one)}`;
  return certified(run, i) ? rival : `not ahead for sure of ${rival}`;
}

const abstained = (run, i) =>
  run.selected[i] === null ? "abstained" : `abstained, on class ${called(run.selected[i])}`;

// One bar for the same counts: runs that were certified again share it.
function countBars(looking, i) {
  const bars = new Map();
  for (const run of looking) {
    const counts = Object.entries(run.counts).map(([words, values]) => [words, values[i]]);
    const key = JSON.stringify(counts);
    if (counts.length) bars.set(key, { counts, runs: [...(bars.get(key)?.runs ?? []), run] });
  }
  if (!bars.size) return [make("p", { class: "note" }, "The counts are unknown.")];
  return [...bars.values()].map(({ counts, runs: of }) => {
    const total = counts.reduce((sum, [, n]) => sum + n, 0) || 1;
    const kinds = counts.length === 3 ? ["right", "one", "none"] : ["right", "none"];
    return make(
      "div",
      { class: "counted" },
      make("div", { class: "faint" }, of.map((run) => run.name).join(", ")),
      make(
        "div",
        { class: "bar", "aria-hidden": "true" },
        ...counts.map(([, n], k) =>
          make("span", { class: kinds[k], style: { flexGrow: String(n / total) } }),
        ),
      ),
      make(
        "div",
        {},
        ...counts.map(([words, n], k) =>
          make(
            "span",
            { class: "key" },
            make("span", { class: `spot ${kinds[k]}` }),
            `${words}: ${count(n)} (${percent(n / total, 2)})`,
          ),
        ),
      ),
    );
  });
}

// Abramowitz and Stegun 7.1.26: to seven digits, and three are shown.
function phi(z) {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const tail =
    0.5 *
    t *
    (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) *
    Math.exp(-x * x);
  return z > 0 ? 1 - tail : tail;
}

function regions(looking, i) {
  const known = looking.filter((run) => run.region[i]);
  if (!known.length) return [];
  return [
    make("h3", {}, "The worst classifier that fits the bounds"),
    make(
      "p",
      { class: "note" },
      "The axis goes from the input, at 0, towards an adversary, in units of σ. The classifier " +
        "gives the answer exactly in the coloured part. The noise moves with the adversary. The " +
        "radius ends where the coloured part holds no more than half of the noise, or no more " +
        "than another class may have.",
    ),
    make("div", { class: "regions" }, ...known.map((run) => regionPicture(run, i))),
  ];
}

function regionPicture(run, i) {
  const [width, height, reach] = [360, 120, 4];
  const x = (z) => ((z + reach) / (2 * reach)) * width;
  const ends = run.region[i].map((end, k) => (end === null ? (k % 2 ? 9 : -9) : end / 1e6));
  const intervals = ends.flatMap((end, k) =>
    k % 2 || ends[k + 1] <= end ? [] : [[end, ends[k + 1]]],
  );
  const bell = (at) =>
    `M${Array.from({ length: 121 }, (_, k) => -reach + (k * reach) / 60)
      .map((z) => `${x(z).toFixed(1)},${(96 - 84 * Math.exp(-0.5 * (z - at) ** 2)).toFixed(1)}`)
      .join("L")}`;
  const radius = (run.radius[i] ?? 0) / 1e6 / run.sigma;
  const moved = drawn("path", { class: "moved" });
  const says = make("output", {});
  const move = (at) => {
    moved.setAttribute("d", bell(at));
    const mass = intervals.reduce((sum, [low, high]) => sum + phi(high - at) - phi(low - at), 0);
    says.textContent = `at distance ${(at * run.sigma).toFixed(3)}: ${percent(mass)} in it`;
  };
  const slider = make("input", {
    type: "range",
    min: "0",
    max: String(Math.max(1.5 * radius, 1)),
    step: "any",
    "aria-label": `distance from input ${inputs.name[i]}, ${run.name}`,
    oninput: () => move(Number(slider.value)),
  });
  slider.value = String(radius);
  move(radius);
  const picture = drawn(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `extremal region of ${run.name}`,
    },
    ...intervals.map(([low, high]) =>
      drawn("rect", {
        x: x(Math.max(low, -reach)),
        width: Math.max(x(Math.min(high, reach)) - x(Math.max(low, -reach)), 0),
        y: 6,
        height: 90,
        style: `fill:${run.colour}`,
        class: "inside",
      }),
    ),
    drawn("path", { d: bell(0), class: "bell" }),
    moved,
    drawn("line", { x1: 0, x2: width, y1: 96, y2: 96, class: "axis" }),
    ...[-3, -2, -1, 0, 1, 2, 3].map((z) =>
      drawn("text", { x: x(z), y: 112, "text-anchor": "middle" }, String(z).replace("-", "−")),
    ),
  );
  return make(
    "figure",
    { class: "card" },
    picture,
    slider,
    make("figcaption", {}, swatch(run), `${run.name}: `, says),
  );
}

function noisyPictures(i) {
  const seen = data.noisy?.[inputs.name[i]];
  if (!seen) return [];
  const picture = (uri, words) =>
    make(
      "figure",
      {},
      make("img", { src: uri, alt: words, class: "large" }),
      make("figcaption", {}, words),
    );
  const copies = seen.copies.map((uri, k) =>
    picture(
      uri,
      `x ${seen.signs[k] > 0 ? "+" : "−"} ε${seen.answers ? ` → ${called(seen.answers[k])}` : ""}`,
    ),
  );
  return [
    make("h3", {}, "What the classifier saw"),
    make(
      "div",
      { class: "pictures" },
      picture(seen.input, "x"),
      ...copies,
      seen.direction ? picture(seen.direction, `gradient of p(${called(seen.selected)})`) : null,
    ),
    make(
      "p",
      { class: "note" },
      "The first noisy copies, drawn again from the seed" +
        (seen.answers ? ", and the classifier's answers." : ".") +
        (seen.direction
          ? " Gradient: a brighter blue or a darker orange pixel makes class " +
            `${called(seen.selected)} more likely.`
          : ""),
    ),
  ];
}

document.addEventListener("keydown", (event) => {
  if (
    current === null ||
    event.target.closest("input, select") ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey
  )
    return;
  const list = found();
  const to = list[list.indexOf(current) + ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? NaN)];
  if (to !== undefined) openInput(to);
  if (event.key === "Escape") location.hash = "";
});
addEventListener("hashchange", route);
