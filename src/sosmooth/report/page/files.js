// The figures as files: their still pictures, with the colours of paper.
function svgOf(stem) {
  const picture = document.querySelector(`figure[id="${stem}"] svg`).cloneNode(true);
  const { width, height } = picture.viewBox.baseVal;
  picture.setAttribute("width", `${width}pt`);
  picture.setAttribute("height", `${height}pt`);
  const text = new XMLSerializer().serializeToString(picture);
  return text.replaceAll(/var\((--[a-z-]+)\)/g, (_, name) => data.paper[name]);
}

function keep(content, name) {
  const link = make("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const svgFile = (stem) => new Blob([svgOf(stem)], { type: "image/svg+xml" });
const DOTS_PER_INCH = 300;

async function pngFile(stem) {
  const url = URL.createObjectURL(svgFile(stem));
  const picture = new Image();
  picture.src = url;
  await picture.decode();
  URL.revokeObjectURL(url);
  // The picture has 96 pixels an inch.
  const canvas = make("canvas", {
    width: Math.round((picture.width * DOTS_PER_INCH) / 96),
    height: Math.round((picture.height * DOTS_PER_INCH) / 96),
  });
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve));
}

// The links of a still picture go to the plot that stands for it.
function setUpFiles() {
  for (const caption of document.querySelectorAll("figcaption[data-view]")) {
    const stem = caption.dataset.view;
    const offer = (name, file) =>
      make(
        "button",
        { type: "button", onclick: async () => keep(await file(stem), `${stem}.${name}`) },
        name.toUpperCase(),
      );
    const files = document.querySelector(`figure[id="${stem}"] .files`);
    files.append(offer("svg", svgFile), offer("png", pngFile));
    caption.append(files);
  }
}
