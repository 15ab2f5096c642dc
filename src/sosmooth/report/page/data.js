// The data of the page, and its numbers as text. Radii and probabilities are whole millionths.
const data = JSON.parse(document.getElementById("data").textContent);
const { inputs, runs } = data;
const everyInput = inputs.name.map((_, i) => i);
const byName = new Map(inputs.name.map((name, i) => [name, i]));
const ABSTAINED = -1;
// The name of a class, or its number where the runs have no names.
const called = (number) => data.classes?.[number] ?? String(number);
const shown = new Set(runs.keys());

const looked = (run, i) => run.prediction[i] !== null;
const certified = (run, i) => looked(run, i) && run.prediction[i] !== ABSTAINED;
const wrong = (run, i) =>
  certified(run, i) && inputs.label[i] !== null && run.prediction[i] !== inputs.label[i];
// The radius where the answer is right, else 0; infinity is null in JSON.
const rightRadius = (run, i) =>
  certified(run, i) && !wrong(run, i) ? (run.radius[i] ?? Infinity) : 0;
const shownRuns = () => runs.filter((_, k) => shown.has(k));
// The run that the others are compared with: the first-order run, while it is shown.
const reference = () => (shown.has(data.reference) ? runs[data.reference] : shownRuns()[0]);

// The shown run with the largest right radius (the reference where it is as large); null where no
// run certifies.
function winner(i) {
  let best = null;
  for (const run of [reference(), ...shownRuns()]) {
    if (run && rightRadius(run, i) > (best ? rightRadius(best, i) : 0)) best = run;
  }
  return best;
}

// A run's radius relative to the reference's; infinite where only the run certifies, null where
// neither does.
function changeOf(run, i) {
  const [method, baseline] = [rightRadius(run, i), rightRadius(reference(), i)];
  return method === baseline ? (method ? 0 : null) : baseline ? method / baseline - 1 : Infinity;
}
const change = (i) => (winner(i) ? changeOf(winner(i), i) : null);

function decimal(millionths, digits = 4) {
  if (millionths === null || millionths === Infinity) return "∞";
  // What would become 0 has all its digits.
  if (millionths > 0 && millionths < 10 ** (6 - digits)) return decimal(millionths, 6);
  const unit = 10 ** (6 - digits);
  return (Math.floor(millionths / unit) / 10 ** digits).toFixed(digits);
}
const percent = (fraction, digits = 1) => `${(100 * fraction).toFixed(digits)} %`;
const count = (number) => number.toLocaleString("en").replaceAll(",", "\u202f");

// An element; text is never read as HTML.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") Object.assign(element.style, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

// A name that may be broken after its underscores.
const breakable = (name) => name.split(/(?<=_)/).flatMap((part) => [part, make("wbr")]);

function drawn(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Lengths of dashes and gaps for a line of so many pixels; empty: a solid line.
const dashesOf = (run, width) => run.dashes.map((length) => length * width);

function swatch(run) {
  const line = drawn("line", {
    x1: 0,
    x2: 38,
    y1: 5,
    y2: 5,
    "stroke-width": 3,
    "stroke-dasharray": dashesOf(run, 3).join(" "),
    style: `stroke:${run.colour}`,
  });
  return drawn(
    "svg",
    { class: "swatch", width: 38, height: 10, viewBox: "0 0 38 10", "aria-hidden": "true" },
    line,
  );
}

// A thumbnail of about so many pixels: a whole multiple of its size, so that small ones are sharp.
function thumbnail(i, size) {
  const place = data.sheet?.place[i] ?? -1;
  if (place < 0) return null;
  const { tile, pitch, columns, tiles } = data.sheet;
  const times = Math.max(1, Math.round(size / tile));
  const [x, y] = [place % columns, Math.floor(place / columns)];
  return make("span", {
    class: "thumbnail",
    role: "img",
    "aria-label": `input ${inputs.name[i]}`,
    style: {
      width: `${tile * times}px`,
      height: `${tile * times}px`,
      backgroundPosition: `${-x * pitch * times}px ${-y * pitch * times}px`,
      backgroundSize: [columns, Math.ceil(tiles / columns)]
        .map((places) => `${places * pitch * times}px`)
        .join(" "),
    },
  });
}
