// Colours and axes of the plots.

// Names are escaped, as plotly reads some HTML in its texts.
const escaped = (text) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const short = (text) => (text.length > 32 ? `${text.slice(0, 31)}…` : text);
const title = (run) => escaped(short(run.name));
// In a template of plotly, a percent sign would begin a format.
const inTemplate = (text) => text.replaceAll("%", "&#37;");

// A colour of the style sheet as the browser computes it, light or dark.
function resolved(colour) {
  const probe = document.getElementById("probe");
  probe.style.color = colour;
  return getComputedStyle(probe).color;
}
const faded = (colour, opacity) =>
  resolved(colour).replace("rgb(", "rgba(").replace(")", `, ${opacity})`);
const NOTHING = "rgba(0,0,0,0)";

function lineOf(run, width = 2.2) {
  const dashes = dashesOf(run, width);
  const dash = dashes.length ? dashes.map((length) => `${length}px`).join(",") : "solid";
  return { color: resolved(run.colour), dash, width };
}

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
    margin: { l: 8, r: 26, t: 12, b: 8 },
    showlegend: false,
    modebar: { bgcolor: NOTHING, color: faint, activecolor: ink },
    hoverlabel: { bgcolor: paper, bordercolor: line, font: { color: ink } },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: full(xaxis),
    yaxis: full(yaxis),
    ...rest,
  };
}

// Buttons are named one by one: plotly's default has one that leads to an online service. The
// camera's picture has four pixels for each of the screen's, as print needs.
const configOf = (filename) => ({
  displaylogo: false,
  responsive: true,
  modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  toImageButtonOptions: { format: "png", scale: 4, filename },
});

const signed = (fraction, digits = 1) => {
  const text = percent(Math.abs(fraction), digits);
  return (fraction > 0 ? "+" : fraction < 0 ? "−" : "±") + text;
};

// Range and marks of an axis of relative changes, logarithmic in the ratio. A few changes of inputs
// whose first-order radius is close to 0 are huge and would flatten the others: they are left out,
// and a double click shows them.
function changeAxis(changes) {
  const logs = [...changes, 0].map(Math.log1p).sort((a, b) => a - b);
  const quantile = (level) => logs[Math.round(level * (logs.length - 1))];
  let [low, high] = [Math.min(quantile(0.02), 0), Math.max(quantile(0.98), 0)];
  const room = Math.max(0.06 * (high - low), 0.004);
  [low, high] = [low - room, high + room];
  const marks = [0];
  const outwards = [...data.changes].sort((a, b) => Math.abs(a) - Math.abs(b));
  for (const mark of outwards) {
    const at = Math.log1p(mark);
    const apart = Math.min(...marks.map((other) => Math.abs(at - Math.log1p(other))));
    if (low <= at && at <= high && apart >= 0.07 * (high - low)) marks.push(mark);
  }
  return {
    range: [low, high],
    tickvals: marks.map(Math.log1p),
    ticktext: marks.map((mark) => signed(mark, 0)),
  };
}
