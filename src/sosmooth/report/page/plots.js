// The plots. Names are escaped, as plotly reads some HTML in its texts.
const escaped = (text) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const short = (text) => (text.length > 32 ? `${text.slice(0, 31)}…` : text);
const title = (run) => escaped(short(run.name));
const MOST_HOVERED = 6;

// A colour of the style sheet as the browser computes it, light or dark.
function resolved(colour) {
  const probe = document.getElementById("probe");
  probe.style.color = colour;
  return getComputedStyle(probe).color;
}
const faded = (colour, opacity) =>
  resolved(colour).replace("rgb(", "rgba(").replace(")", `, ${opacity})`);

function layout(extra) {
  const [ink, faint, line, paper] = [
    "var(--ink)",
    "var(--faint)",
    "var(--line)",
    "var(--paper)",
  ].map(resolved);
  const axis = {
    gridcolor: line,
    zerolinecolor: line,
    linecolor: line,
    tickcolor: line,
    tickfont: { color: faint },
    automargin: true,
  };
  const { xaxis, yaxis, ...rest } = extra;
  const full = ({ title, ...own }) => ({
    ...axis,
    ...own,
    title: { text: title, font: { size: 13 }, standoff: 10 },
  });
  return {
    font: { family: "system-ui, sans-serif", size: 13, color: ink },
    paper_bgcolor: paper,
    plot_bgcolor: paper,
    margin: { l: 8, r: 12, t: 12, b: 8 },
    showlegend: false,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: faint, activecolor: ink },
    hoverlabel: { bgcolor: paper, bordercolor: line, font: { color: ink } },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: full(xaxis),
    yaxis: full(yaxis),
    ...rest,
  };
}

// Buttons are named one by one: plotly's default has one that leads to an online service.
const CONFIG = {
  displaylogo: false,
  responsive: true,
  modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
};

function accuracyPlot() {
  const at = data.curve.at.map((x) => x / 1e6);
  const traces = [];
  for (const k of shown) {
    const [run, curve] = [runs[k], data.curve.runs[k]];
    const fraction = curve.count.map((n) => n / curve.of);
    const shape = { x: at, line: { shape: "vh", width: 0 }, mode: "lines", hoverinfo: "skip" };
    traces.push({ ...shape, y: curve.low.map((y) => y / 1e6) });
    traces.push({
      ...shape,
      y: curve.high.map((y) => y / 1e6),
      fill: "tonexty",
      fillcolor: faded(run.colour, 0.15),
    });
    traces.push({
      x: at,
      y: fraction,
      name: title(run),
      mode: "lines",
      line: { shape: "vh", color: resolved(run.colour), dash: run.dash, width: 2.2 },
      customdata: curve.low.map((low, j) => [low / 1e6, curve.high[j] / 1e6]),
      hovertemplate: "%{y:.1%} <i>(%{customdata[0]:.1%} – %{customdata[1]:.1%})</i>",
    });
  }
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
        unifiedhovertitle: { text: "radius %{x:.4f}" },
      },
      yaxis: { title: escaped(data.accuracy), tickformat: ".0%", range: [0, 1] },
    }),
    points: at.map((x, j) => ({
      x,
      at: traces.flatMap((trace, c) => (trace.name ? [{ curveNumber: c, pointNumber: j }] : [])),
    })),
  };
}

function changePlot() {
  const labels = data.bins.map(escaped);
  const traces = data.pairs
    .filter((pair) => shown.has(pair.method))
    .map((pair) => {
      const counts = data.bins.map((_, bin) => pair.bin.filter((found) => found === bin).length);
      const total = counts.reduce((sum, n) => sum + n, 0) || 1;
      return {
        type: "bar",
        orientation: "h",
        y: labels,
        x: counts,
        name: title(runs[pair.method]),
        marker: { color: resolved(runs[pair.method].colour) },
        customdata: counts.map((n) => n / total),
        hovertemplate:
          "%{y}: %{x} images, %{customdata:.1%}" +
          `<extra>${title(runs[pair.method]).replaceAll("%", "&#37;")}</extra>`,
        pair,
      };
    });
  return {
    traces,
    layout: layout({
      barmode: "group",
      bargap: 0.25,
      xaxis: { title: "images", rangemode: "tozero" },
      yaxis: {
        type: "category",
        categoryarray: labels,
        range: [-0.5, labels.length - 0.5],
        gridcolor: "rgba(0,0,0,0)",
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

// Each image at its probability: at the height of its largest radius, in the colour of the run that
// has it, or at the change that each run makes.
function radiusPlot() {
  const relative = document.getElementById("against").value === "change";
  const base = reference();
  const probit = (i) => base?.probit[i] ?? null;
  const inOrder = everyImage
    .filter((i) => probit(i) !== null)
    .sort((a, b) => probit(a) - probit(b));
  const height = relative
    ? (run, i) => changeOf(run, i)
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
        marker: { color: resolved(run.colour), size: 7, opacity: 0.7, line: { width: 0 } },
        text: there.map(described),
        hoverinfo: "text",
        images: there,
      };
    });
  const points = traces.flatMap((trace, c) =>
    trace.images.map((i, j) => ({
      i,
      at: [{ curveNumber: c, pointNumber: j }],
      open: () => openImage(i),
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
  const changes = traces.flatMap((trace) => (relative ? trace.y : [])).sort((a, b) => a - b);
  const quantile = (level) => changes[Math.round(level * (changes.length - 1))];
  // A few changes near p = 1/2 are huge and would flatten the others: a double click shows them.
  const room = changes.length
    ? [Math.min(1.3 * quantile(0.01), -0.02), Math.max(1.3 * quantile(0.98), 0.02)]
    : null;
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
            tickformat: "+.0%",
            range: room,
          }
        : { title: "largest certified radius", rangemode: "tozero" },
    }),
    points,
    clicked: (point) => point.data.images && openImage(point.data.images[point.pointNumber]),
  };
}

// An image in short: the radius of each run shown, the largest first, and by how much it is larger.
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
  const gain = change(i);
  const label = images.label[i] === null ? "" : `, label ${escaped(called(images.label[i]))}`;
  const won =
    gain > 0
      ? `<br><b>${Number.isFinite(gain) ? signed(gain) : "only"} ${title(winner(i))}</b>`
      : "";
  return `image ${escaped(images.name[i])}${label}<br>${lines.join("<br>")}${won}`;
}

const PLOTS = {
  "plot-accuracy": accuracyPlot,
  "plot-change": changePlot,
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
    Plotly.react(element, plot.traces, plot.layout, CONFIG);
    element.removeAllListeners("plotly_click");
    if (plot.clicked) element.on("plotly_click", (event) => plot.clicked(event.points[0]));
  }
}

// The arrow keys go from point to point; Enter opens the image of a point.
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
