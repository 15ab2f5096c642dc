// The runs that are shown, light or dark colours, and the first drawing.
function draw() {
  drawPlots();
  drawTable();
  if (current !== null) drawInput();
}

function runToggle(run, k) {
  const box = make("input", { type: "checkbox", checked: true });
  box.addEventListener("change", () => {
    if (box.checked) shown.add(k);
    else shown.delete(k);
    const inOrder = [...shown].sort((a, b) => a - b);
    shown.clear();
    inOrder.forEach((one) => shown.add(one));
    draw();
  });
  return make(
    "label",
    {
      title: run.name,
      onmouseenter: () => showBand(run),
      onmouseleave: () => showBand(resting),
    },
    box,
    swatch(run),
    short(run.name),
  );
}

function setUpTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () =>
    (document.documentElement.style.colorScheme || (dark.matches ? "dark" : "light")) === "dark";
  const button = document.getElementById("theme");
  const say = () => (button.textContent = isDark() ? "☀ light" : "☾ dark");
  button.addEventListener("click", () => {
    document.documentElement.style.colorScheme = isDark() ? "light" : "dark";
    say();
    drawPlots();
  });
  dark.addEventListener("change", () => {
    say();
    drawPlots();
  });
  say();
}

document.documentElement.classList.add("js");
document.getElementById("runs").append(...runs.map(runToggle));
setUpTheme();
setUpTable();
setUpPlots();
setUpFiles();
route();
draw();
document.documentElement.dataset.ready = "";
