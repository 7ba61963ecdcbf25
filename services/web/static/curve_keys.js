// Zoom buttons and keys of a curve: + and − zoom, 0 shows the whole, arrows read the points.
"use strict";
window.trimtabCurveKeys = (figure, box, curve) => {
  const bar = window.trimtabZoomBar([["+", "Zoom in", () => curve.zoom(0.5)], ["−", "Zoom out", () => curve.zoom(2)], ["Whole", "Show the whole curve", curve.whole]]);
  figure.insertBefore(bar, box);
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step !== undefined) curve.step(step);
    else if (event.key === "+") curve.zoom(0.5);
    else if (event.key === "-") curve.zoom(2);
    else if (event.key === "0") curve.whole();
    else return;
    event.preventDefault();
  });
  box.addEventListener("blur", curve.leave);
};
