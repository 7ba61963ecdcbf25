// Curves of several jobs on one axis: zoom by dragging or keys, values under the pointer or by keys.
"use strict";
for (const figure of document.querySelectorAll("[data-lines]")) {
  const lines = JSON.parse(figure.dataset.lines).filter((line) => line.points.length);
  const box = figure.querySelector(".plot");
  const caption = figure.querySelector("figcaption");
  const summary = caption.textContent;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
  const dashes = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 4], [12, 4], [1, 4], [7, 2, 2, 2]];
  const times = [...new Set(lines.flatMap((line) => line.points.map((p) => p[0])))].sort((a, b) => a - b);
  const end = times[times.length - 1] || 1;
  if (times.length === 1) times.push(end + Math.max(end * 0.1, 0.1));
  // A line holds its value from one of its points to the next.
  const values = lines.map((line) => {
    let next = 0;
    let held = null;
    return times.map((t) => {
      while (next < line.points.length && line.points[next][0] <= t) held = line.points[next++][1];
      return held;
    });
  });
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let plot = null;
  let at = null; // index that the keys chose

  function build() {
    if (plot) plot.destroy();
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { stroke: colour("--grid") }, font: `12px ${getComputedStyle(document.body).fontFamily}` };
    plot = new uPlot(
      {
        width: box.clientWidth || 600,
        height: box.clientHeight || 300,
        legend: { show: false },
        cursor: { y: false, drag: { x: true, y: false } },
        scales: { x: { time: false }, y: { range: (_, low, high) => { const pad = (high - low || Math.abs(high) || 1) * 0.08; return [low - pad, high + pad]; } } },
        axes: [
          { ...axis, values: (_, ticks) => ticks.map((v) => `${digits.format(v)} s`), space: 70, size: 34 },
          { ...axis, size: 84, values: (_, ticks) => ticks.map((v) => digits.format(v)) },
        ],
        series: [{}, ...lines.map((line) => ({ label: line.label, stroke: colour(`--line-${line.label.toLowerCase()}`), width: 2.25, dash: dashes["ABCDEFGH".indexOf(line.label)], paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } }))],
        hooks: { setCursor: [(u) => read(u.cursor.idx)] },
      },
      [times, ...values],
      box,
    );
  }

  function read(index) {
    if (index === null || index === undefined) {
      if (at === null) caption.textContent = summary;
      return;
    }
    const parts = lines.map((line, n) => `${line.label} ${values[n][index] === null ? "–" : digits.format(values[n][index])}`);
    caption.textContent = `At ${digits.format(times[index])} s: ${parts.join(", ")}.`;
  }

  function zoom(factor) {
    const { min, max } = plot.scales.x;
    const middle = at === null ? (min + max) / 2 : times[at];
    const half = ((max - min) / 2) * factor;
    if (half >= end / 2) reset();
    else plot.setScale("x", { min: Math.max(0, middle - half), max: Math.min(end, middle + half) });
  }
  const reset = () => plot.setScale("x", { min: times[0], max: times[times.length - 1] });

  figure.querySelector("[data-still]").hidden = true;
  box.hidden = false;
  build();
  window.trimtabCurveKeys(figure, box, {
    zoom,
    whole: reset,
    step(by) {
      at = Math.max(0, Math.min(times.length - 1, (at ?? (by > 0 ? -1 : times.length)) + by));
      plot.setCursor({ left: plot.valToPos(times[at], "x"), top: 0 });
      read(at);
    },
    leave() {
      at = null;
      caption.textContent = summary;
    },
  });
  new ResizeObserver(() => box.clientWidth && plot.setSize({ width: box.clientWidth, height: box.clientHeight })).observe(box);
  dark.addEventListener("change", build);
}
