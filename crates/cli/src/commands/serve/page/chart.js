// Lines over time, drawn as SVG.

const NAMESPACE = "http://www.w3.org/2000/svg";
/** Looks that are kept. */
export const LENGTH = 120;
const WIDTH = LENGTH - 1;
const HEIGHT = 60;

function svg(tag, attributes) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** A figure with one line (and the area below it), or with two. */
export function chart(isDouble) {
  const caption = document.createElement("figcaption");
  const drawing = svg("svg", { class: "chart", role: "img", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" });
  const first = svg("path", { class: isDouble ? "first" : "area" });
  const second = svg("path", { class: isDouble ? "second" : "first" });
  drawing.append(first, second);
  const figure = document.createElement("figure");
  figure.append(drawing, caption);
  return { figure, caption, drawing, first, second, isDouble };
}

/** Draws series of numbers, newest last, up to `top` at least. */
export function draw({ drawing, first, second, isDouble }, series, top, words) {
  const most = Math.max(top, 1e-9, ...series.flat().filter((value) => value !== null));
  const line = (values) => {
    let path = "";
    values.forEach((value, index) => {
      if (value === null) return;
      const x = WIDTH - (values.length - 1 - index);
      const y = HEIGHT - 2 - (value / most) * (HEIGHT - 4);
      path += `${path === "" || values[index - 1] === null ? "M" : "L"}${x} ${y.toFixed(1)}`;
    });
    return path;
  };
  if (isDouble) {
    first.setAttribute("d", line(series[0]));
    second.setAttribute("d", line(series[1]));
  } else {
    const path = line(series[0]);
    const from = WIDTH - (series[0].length - 1);
    second.setAttribute("d", path);
    first.setAttribute("d", path && !series[0].includes(null) ? `${path}L${WIDTH} ${HEIGHT}L${from} ${HEIGHT}Z` : "");
  }
  drawing.setAttribute("aria-label", words);
}
