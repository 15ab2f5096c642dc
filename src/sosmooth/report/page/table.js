// The table of all inputs: sorted, filtered, a page at a time.
const ROWS = 25;
const order = { column: "input", descending: false };
const filter = { answer: "all", label: "all", bin: null };
let page = 0;

const ANSWERS = {
  all: ["all inputs", () => true],
  right: [
    "certified by all, right",
    (i) => shownRuns().every((run) => certified(run, i) && !wrong(run, i)),
  ],
  wrong: ["certified, but wrong", (i) => shownRuns().some((run) => wrong(run, i))],
  abstained: ["abstained", (i) => shownRuns().some((run) => looked(run, i) && !certified(run, i))],
  differ: [
    "only some certify",
    (i) =>
      new Set(
        shownRuns()
          .filter((run) => looked(run, i))
          .map((run) => certified(run, i)),
      ).size > 1,
  ],
  pictures: ["with noisy copies", (i) => inputs.name[i] in (data.noisy ?? {})],
};

// On a narrow screen the label comes last, so that the best run's radius is in sight.
const narrow = matchMedia("(max-width: 40rem)");

function columns() {
  const base = reference();
  const label = {
    key: "label",
    title: "label",
    value: (i) => inputs.label[i],
    cell: (i) => (inputs.label[i] === null ? "—" : called(inputs.label[i])),
  };
  const radii = shownRuns().map((run) => ({
    key: `radius-${runs.indexOf(run)}`,
    title: run.name,
    run,
    descending: true,
    value: (i) => (!looked(run, i) ? null : certified(run, i) ? (run.radius[i] ?? Infinity) : -1),
    cell: (i) => radiusCell(run, i),
  }));
  const changes = {
    key: "change",
    title: "change",
    descending: true,
    hint: `the largest radius relative to that of ${base?.name}`,
    value: change,
    cell: changeCell,
  };
  const found = [
    { key: "input", title: "input", value: (i) => i, cell: inputCell },
    ...(narrow.matches ? [] : [label]),
    ...radii.slice(0, 1),
    ...(shown.size > 1 ? [changes] : []),
    ...radii.slice(1),
    ...(narrow.matches ? [label] : []),
  ];
  if (base) {
    found.push({
      key: "p",
      title: "p ≥",
      descending: true,
      hint: `lower bound of the probability of the answer, by ${base.name}`,
      value: (i) => base.p[i],
      cell: (i) => (base.p[i] === null ? "—" : decimal(base.p[i], 5)),
    });
  }
  return found;
}

const inputCell = (i) =>
  make("a", { href: `#input-${inputs.name[i]}`, class: "input" }, thumbnail(i, 40), inputs.name[i]);

function radiusCell(run, i) {
  if (!looked(run, i)) return "—";
  if (!certified(run, i))
    return make("span", { class: "faint", title: data.reasons[run.reason[i]] ?? "" }, "abstained");
  const radius = decimal(run.radius[i]);
  return wrong(run, i)
    ? make(
        "span",
        { class: "wrong", title: `certified as ${called(run.prediction[i])}` },
        `${radius} ✗ ${called(run.prediction[i])}`,
      )
    : radius;
}

function changeCell(i) {
  const gain = change(i);
  if (gain === null) return "—";
  return make(
    "span",
    { class: "nowrap", title: winner(i).name },
    swatch(winner(i)),
    Number.isFinite(gain) ? signed(gain) : "only this",
  );
}

function found() {
  const column = columns().find((one) => one.key === order.column) ?? columns()[0];
  const passes = (i) =>
    ANSWERS[filter.answer][1](i) &&
    (filter.label === "all" || String(inputs.label[i]) === filter.label) &&
    (!filter.bin || filter.bin.pair.bin[i] === filter.bin.bin);
  const sign = order.descending ? -1 : 1;
  const value = new Map(everyInput.map((i) => [i, column.value(i)]));
  // Unknown values come last in both directions.
  const compare = (a, b) => {
    const [x, y] = [value.get(a), value.get(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a - b;
    return x === y ? a - b : sign * (x < y ? -1 : 1);
  };
  return everyInput.filter(passes).sort(compare);
}

function drawTable() {
  const list = found();
  const pages = Math.max(1, Math.ceil(list.length / ROWS));
  page = Math.min(page, pages - 1);
  const head = make("tr", {}, ...columns().map(heading));
  const rows = list
    .slice(page * ROWS, (page + 1) * ROWS)
    .map((i) => make("tr", {}, ...columns().map((column) => make("td", {}, column.cell(i)))));
  const table = document.getElementById("inputs");
  const focused = document.activeElement?.dataset?.column;
  table.replaceChildren(
    make("caption", { class: "hidden" }, "Certificates by input"),
    make("thead", {}, head),
    make("tbody", {}, ...rows),
  );
  if (focused) table.querySelector(`[data-column="${focused}"]`)?.focus();
  const from = list.length ? page * ROWS + 1 : 0;
  document.getElementById("found").textContent =
    `${count(from)}–${count(from ? from + rows.length - 1 : 0)} of ${count(list.length)} inputs`;
  document.getElementById("earlier").disabled = page === 0;
  document.getElementById("later").disabled = page === pages - 1;
  const chip = document.getElementById("bin");
  chip.hidden = !filter.bin;
  if (filter.bin) {
    const method = runs[filter.bin.pair.method];
    chip.textContent = `${short(method.name)}: ${data.bins[filter.bin.bin]} ✕`;
  }
}

function heading(column) {
  const sorted = order.column === column.key;
  const arrow = sorted ? (order.descending ? " ↓" : " ↑") : "";
  const button = make(
    "button",
    {
      type: "button",
      title: column.hint ?? column.title,
      "data-column": column.key,
      onclick: () => sortBy(column),
    },
    column.run ? swatch(column.run) : null,
    ...breakable(short(column.title) + arrow),
  );
  return make(
    "th",
    {
      scope: "col",
      "aria-sort": sorted ? (order.descending ? "descending" : "ascending") : "none",
    },
    button,
  );
}

function sortBy(column) {
  order.descending = order.column === column.key ? !order.descending : Boolean(column.descending);
  order.column = column.key;
  page = 0;
  drawTable();
}

function filterBin(pair, bin) {
  filter.bin = { pair, bin };
  page = 0;
  drawTable();
  document.getElementById("inputs-heading").scrollIntoView();
}

function setUpTable() {
  narrow.addEventListener("change", drawTable);
  const changed = (name) => (event) => {
    filter[name] = event.target.value;
    page = 0;
    drawTable();
  };
  const answers = document.getElementById("answer");
  const offered = Object.entries(ANSWERS).filter(([key]) => key !== "pictures" || data.noisy);
  answers.append(...offered.map(([value, [words]]) => make("option", { value }, words)));
  answers.addEventListener("change", changed("answer"));
  const known = [...new Set(inputs.label)].filter((label) => label !== null).sort((a, b) => a - b);
  const labels = document.getElementById("label");
  labels.append(
    make("option", { value: "all" }, "all classes"),
    ...known.map((label) => make("option", { value: label }, `class ${called(label)}`)),
  );
  labels.addEventListener("change", changed("label"));
  labels.parentElement.hidden = !known.length;
  const turn = (by) => () => {
    page += by;
    drawTable();
  };
  document.getElementById("earlier").addEventListener("click", turn(-1));
  document.getElementById("later").addEventListener("click", turn(1));
  document.getElementById("bin").addEventListener("click", () => {
    filter.bin = null;
    drawTable();
    document.getElementById("answer").focus();
  });
}
