// The plots, each in the view that is chosen above it.
const MOST_HOVERED = 6;

const view = (plot) =>
  document.querySelector(`input[name="view-${plot}"]:checked`)?.value ?? null;
const shownPairs = () =>
  data.pairs.filter((pair) => shown.has(pair.method) && shown.has(pair.baseline));

// A step curve with its band, which is seen only while the pointer is at its run.
function withBand(run, width, x, y, low, high, extra) {
  const edge = { x, line: { shape: "vh", width: 0 }, mode: "lines", hoverinfo: "skip", run };
  return [
    { ...edge, y: low },
    { ...edge, y: high, fill: "tonexty", fillcolor: NOTHING, band: true },
    {
      x,
      y,
      run,
      name: title(run),
      mode: "lines",
      line: { shape: "vh", ...lineOf(run, width) },
      ...extra,
    },
  ];
}

const fractions = (millionths) => millionths.map((value) => value / 1e6);

// The first run comes last: it is drawn over the others, and plotly names it first.
const accuracyTraces = (at) =>
  [...shown].reverse().flatMap((k) => {
    const curve = data.curve.runs[k];
    const [low, high] = [fractions(curve.low), fractions(curve.high)];
    const fraction = curve.count.map((n) => n / curve.of);
    return withBand(runs[k], 2.2, at, fraction, low, high, {
      customdata: low.map((one, j) => [one, high[j]]),
      hovertemplate: "%{y:.1%} <i>(%{customdata[0]:.1%} – %{customdata[1]:.1%})</i>",
    });
  });

function differenceTraces(at) {
  const [first, ...others] = shownPairs();
  return [...others.reverse(), ...(first ? [first] : [])].flatMap((pair) => {
    const [low, high] = [fractions(pair.low), fractions(pair.high)];
    const width = pair === first ? 2.2 : 1.4;
    return withBand(runs[pair.method], width, at, fractions(pair.difference), low, high, {
      customdata: low.map((one, j) => [one, high[j]]),
      hovertemplate: "%{y:+.1%} <i>(%{customdata[0]:+.1%} to %{customdata[1]:+.1%})</i>",
    });
  });
}

function accuracyPlot() {
  const at = fractions(data.curve.at);
  const difference = view("accuracy") === "accuracy-difference";
  const traces = difference ? differenceTraces(at) : accuracyTraces(at);
  return {
    traces,
    layout: layout({
      hovermode: "x unified",
      xaxis: {
        title: "radius, input units",
        spikecolor: resolved("var(--faint)"),
        spikethickness: 1,
        range: [0, at.at(-1)],
        hoverformat: ".4f",
        unifiedhovertitle: { text: "radius %{x:.4f}, 95 % intervals" },
      },
      yaxis: difference
        ? { title: `${escaped(data.accuracy)}, minus first order’s`, tickformat: "+.0%" }
        : { title: escaped(data.accuracy), tickformat: ".0%", range: [0, 1] },
    }),
    points: at.map((x, j) => ({
      at: traces.flatMap((trace, c) => (trace.name ? [{ curveNumber: c, pointNumber: j }] : [])),
    })),
    resting: difference ? (traces.at(-1)?.run ?? null) : null,
  };
}

function changePlot() {
  return view("change") === "relative-change-bins" ? binsPlot() : changesPlot();
}

// Each input's change, those with the largest gain first.
function changesPlot() {
  const traces = shownPairs().map((pair) => {
    const [method, baseline] = [runs[pair.method], runs[pair.baseline]];
    const ratio = (i) => rightRadius(method, i) / rightRadius(baseline, i);
    const there = everyInput
      .filter((i) => rightRadius(method, i) && Number.isFinite(ratio(i)) && ratio(i) > 0)
      .sort((a, b) => ratio(b) - ratio(a));
    return {
      mode: "lines",
      x: there.map((_, k) => (k + 0.5) / there.length),
      y: there.map((i) => Math.log(ratio(i))),
      name: title(method),
      line: lineOf(method, 2.6),
      text: there.map(
        (i) => `<b>${signed(ratio(i) - 1)} ${title(method)}</b><br>${described(i)}`,
      ),
      hoverinfo: "text",
      inputs: there,
    };
  });
  return {
    traces,
    layout: layout({
      hovermode: "closest",
      hoverdistance: 40,
      xaxis: {
        title: "inputs, those with the largest gain first",
        tickformat: ".0%",
        range: [0, 1],
        zeroline: false,
      },
      yaxis: {
        title: "change of the radius",
        zerolinecolor: resolved("var(--faint)"),
        ...changeAxis(traces.flatMap((trace) => trace.y.map(Math.expm1))),
      },
    }),
    points: traces.flatMap((trace, c) =>
      trace.inputs.map((i, j) => ({
        at: [{ curveNumber: c, pointNumber: j }],
        open: () => openInput(i),
      })),
    ),
    clicked: openPoint,
  };
}

function binsPlot() {
  const labels = data.bins.map(escaped);
  const traces = shownPairs().map((pair) => {
    const run = runs[pair.method];
    const counts = data.bins.map((_, bin) => pair.bin.filter((found) => found === bin).length);
    const total = counts.reduce((sum, n) => sum + n, 0) || 1;
    return {
      type: "bar",
      orientation: "h",
      y: labels,
      x: counts.map((n) => n / total),
      name: title(run),
      marker: {
        color: resolved(run.colour),
        pattern: {
          shape: run.hatch,
          size: 6,
          solidity: 0.2,
          fgcolor: resolved("var(--paper)"),
          fillmode: "overlay",
        },
      },
      text: counts.map((n) => (n ? String(n) : "")),
      textposition: "outside",
      textfont: { size: 10 },
      cliponaxis: false,
      customdata: counts,
      hovertemplate:
        "%{y}: %{customdata} inputs, %{x:.1%}" + `<extra>${inTemplate(title(run))}</extra>`,
      pair,
    };
  });
  // Bars are drawn from below: the first run comes last.
  traces.reverse();
  return {
    traces,
    layout: layout({
      barmode: "group",
      bargap: 0.25,
      xaxis: { title: "inputs that one of the two certifies", rangemode: "tozero", tickformat: ".0%" },
      yaxis: {
        type: "category",
        categoryarray: labels,
        range: [-0.5, labels.length - 0.5],
        gridcolor: NOTHING,
      },
    }),
    points: data.bins.flatMap((_, bin) =>
      traces.map((_, c) => ({
        at: [{ curveNumber: c, pointNumber: bin }],
        open: () => filterBin(traces[c].pair, bin),
      })),
    ),
    clicked: (point) => filterBin(point.data.pair, point.pointNumber),
  };
}

// How many inputs have at most that p̂.
function probabilityPlot() {
  const found = data.probabilities.filter((one) => shown.has(one.run));
  const traces = found.map((one) => {
    const run = runs[one.run];
    const there = everyInput.filter((i) => one.p[i] !== null).sort((a, b) => one.p[a] - one.p[b]);
    const height = (k) => (k + 1) / there.length;
    return {
      mode: "lines",
      x: [0, ...there.map((i) => one.p[i] / 1e6), 1],
      y: [0, ...there.map((_, k) => height(k)), 1],
      name: title(run),
      line: { shape: "hv", ...lineOf(run) },
      text: [
        "",
        ...there.map(
          (i, k) =>
            `p̂ = ${decimal(one.p[i])}: ${percent(height(k))} have at most that<br>${described(i)}`,
        ),
        "",
      ],
      hoverinfo: "text",
      inputs: [null, ...there, null],
    };
  });
  const points = traces.flatMap((trace, c) =>
    trace.inputs.flatMap((i, j) =>
      i === null
        ? []
        : [{ at: [{ curveNumber: c, pointNumber: j }], open: () => openInput(i) }],
    ),
  );
  const of = data.probabilities[0]?.of ?? "";
  return {
    traces,
    layout: layout({
      hovermode: "closest",
      hoverdistance: 40,
      xaxis: { title: `p̂ of ${of}`, range: [0, 1] },
      yaxis: { title: "inputs with at most that p̂", tickformat: ".0%", range: [0, 1] },
      shapes: [
        {
          type: "line",
          x0: 0.5,
          x1: 0.5,
          y0: 0,
          y1: 1,
          line: { color: resolved("var(--faint)"), width: 1 },
          layer: "below",
        },
      ],
    }),
    points,
    clicked: openPoint,
  };
}

// Each input at its probability: at the height of its largest radius, in the colour of the run that
// has it, or at the change that each run makes.
function radiusPlot() {
  const relative = view("radius") === "change";
  const base = reference();
  const probit = (i) => base?.probit[i] ?? null;
  const inOrder = everyInput
    .filter((i) => probit(i) !== null)
    .sort((a, b) => probit(a) - probit(b));
  const height = relative
    ? (run, i) => Math.log1p(changeOf(run, i) ?? NaN)
    : (run, i) => (winner(i) === run ? rightRadius(run, i) / 1e6 : null);
  const traces = shownRuns()
    .filter((run) => !relative || run !== base)
    .map((run) => {
      const there = inOrder.filter((i) => Number.isFinite(height(run, i) ?? NaN));
      return {
        mode: "markers",
        x: there.map((i) => probit(i) / 1e6),
        y: there.map((i) => height(run, i)),
        name: title(run),
        marker: {
          color: resolved(run.colour),
          symbol: SYMBOLS[runs.indexOf(run) % SYMBOLS.length],
          size: 7,
          opacity: 0.7,
          line: { width: 0 },
        },
        text: there.map(described),
        hoverinfo: "text",
        inputs: there,
      };
    });
  const points = traces.flatMap((trace, c) =>
    trace.inputs.map((i, j) => ({
      i,
      at: [{ curveNumber: c, pointNumber: j }],
      open: () => openInput(i),
    })),
  );
  points.sort((a, b) => probit(a.i) - probit(b.i));
  if (base && !relative && points.length) {
    const ends = [0, probit(points.at(-1).i) / 1e6];
    traces.push({
      mode: "lines",
      x: ends,
      y: ends.map((z) => z * base.sigma),
      line: { color: resolved("var(--faint)"), width: 1 },
      hoverinfo: "skip",
    });
  }
  return {
    traces,
    layout: layout({
      hovermode: "closest",
      xaxis: {
        title: `p ≥, ${base ? title(base) : ""}`,
        tickvals: data.ticks.at,
        ticktext: data.ticks.p,
        zeroline: false,
      },
      yaxis: relative
        ? {
            title: `radius, relative to ${base ? title(base) : ""}`,
            zerolinecolor: resolved("var(--faint)"),
            ...changeAxis(traces.flatMap((trace) => trace.y.map(Math.expm1))),
          }
        : { title: "largest certified radius", rangemode: "tozero" },
    }),
    points,
    clicked: openPoint,
  };
}

const SYMBOLS = ["circle", "diamond", "triangle-up", "square", "cross", "x", "triangle-down"];

const openPoint = (point) => {
  const i = point.data.inputs?.[point.pointNumber] ?? null;
  if (i !== null) openInput(i);
};

// An input in short: the radius of each run shown, the largest first, and by how much it is larger.
function described(i) {
  const lines = shownRuns()
    .filter((run) => looked(run, i))
    .sort((a, b) => rightRadius(b, i) - rightRadius(a, i))
    .slice(0, MOST_HOVERED)
    .map(
      (run) =>
        `${title(run)}: ${certified(run, i) ? decimal(run.radius[i]) : "abstained"}` +
        (wrong(run, i) ? " ✗" : ""),
    );
  const label = inputs.label[i] === null ? "" : `, label ${escaped(called(inputs.label[i]))}`;
  return `input ${escaped(inputs.name[i])}${label}<br>${lines.join("<br>")}`;
}

const PLOTS = {
  "plot-change": changePlot,
  "plot-accuracy": accuracyPlot,
  "plot-probability": probabilityPlot,
  "plot-radius": radiusPlot,
};
const cursors = new Map();
// Plots are drawn when they come into sight: the page opens fast, and every plot has a size when it
// is drawn.
const stale = new Set();
const inSight = new Set();
const sight = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) inSight.add(target);
      else inSight.delete(target);
    }
    drawStale();
  },
  { rootMargin: "400px" },
);

function setUpPlots() {
  for (const id of Object.keys(PLOTS)) {
    const element = document.getElementById(id);
    if (!element) continue;
    const onceDrawn = (action) => (event) => cursors.has(element) && action(event);
    element.addEventListener(
      "keydown",
      onceDrawn((event) => walk(element, event)),
    );
    element.addEventListener(
      "blur",
      onceDrawn(() => Plotly.Fx.unhover(element)),
    );
    sight.observe(element);
    const figure = element.closest("figure");
    figure.querySelector(".views")?.addEventListener("change", (event) => {
      for (const caption of figure.querySelectorAll("figcaption[data-view]"))
        caption.hidden = caption.dataset.view !== event.target.value;
      stale.add(id);
      drawStale();
    });
  }
}

function drawPlots() {
  Object.keys(PLOTS).forEach((id) => stale.add(id));
  drawStale();
}

function drawStale() {
  for (const element of inSight) {
    if (!stale.delete(element.id)) continue;
    const plot = PLOTS[element.id]();
    cursors.set(element, { points: plot.points, at: -1 });
    const name = element.id.slice("plot-".length);
    Plotly.react(element, plot.traces, plot.layout, configOf(view(name) ?? name));
    element.removeAllListeners("plotly_click");
    if (plot.clicked) element.on("plotly_click", (event) => plot.clicked(event.points[0]));
    if (element.id !== "plot-accuracy") continue;
    resting = plot.resting;
    showBand(resting);
    element.removeAllListeners("plotly_hover");
    element.on("plotly_hover", ({ points, yvals }) => {
      if (yvals) showBand(nearest(points, yvals[0]).data.run);
    });
    element.removeAllListeners("plotly_unhover");
    element.on("plotly_unhover", () => showBand(resting));
  }
}

const nearest = (points, y) =>
  points.reduce((best, one) => (Math.abs(one.y - y) < Math.abs(best.y - y) ? one : best));

// The run with a band while the pointer is at none.
let resting = null;

// Shows the interval of one run around its curve, or none. Only colours change, so that plotly does
// not draw again and what the pointer shows stays.
function showBand(run) {
  const element = document.getElementById("plot-accuracy");
  const bands = (element?.data ?? []).flatMap((trace, c) => (trace.band ? [c] : []));
  if (!bands.length) return;
  const colours = bands.map((c) =>
    element.data[c].run === run ? faded(run.colour, 0.18) : NOTHING,
  );
  if (colours.every((colour, k) => colour === element.data[bands[k]].fillcolor)) return;
  Plotly.restyle(element, { fillcolor: colours }, bands);
}

// The arrow keys go from point to point; Enter opens the input of a point.
function walk(element, event) {
  const cursor = cursors.get(element);
  const step = {
    ArrowRight: 1,
    ArrowUp: 1,
    ArrowLeft: -1,
    ArrowDown: -1,
    PageUp: 20,
    PageDown: -20,
  }[event.key];
  if (!cursor.points.length || (!step && event.key !== "Enter")) return;
  event.preventDefault();
  event.stopPropagation();
  if (event.key === "Enter") return cursor.points[cursor.at]?.open?.();
  cursor.at = Math.min(Math.max(cursor.at + step, 0), cursor.points.length - 1);
  Plotly.Fx.hover(element, cursor.points[cursor.at].at, "xy");
}
