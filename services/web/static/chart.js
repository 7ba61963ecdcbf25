// The incumbent-and-bound curve: two step lines over time, drawn by uPlot on a canvas, and the same said in words.
"use strict";
window.trimtabCurve = (figure) => {
  const plotBox = figure.querySelector(".plot");
  const words = figure.querySelector("figcaption");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let points = []; // {t, objective, bound}, t ascending
  let running = false;
  let lastAt = 0; // performance.now() of the newest point, to extend the lines to the present
  let plot = null;
  let wanted = false;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const grouped = new Intl.NumberFormat("en", { maximumSignificantDigits: 9 });
  const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
  const say = (value) => (value === null || value === undefined ? "–" : grouped.format(value));
  const clock = (t) => (t < 10 ? `${t.toFixed(2)} s` : t < 120 ? `${t.toFixed(1)} s` : `${Math.floor(t / 60)} min ${Math.round(t % 60)} s`);

  function columns() {
    const t = points.map((p) => p.t);
    const objective = points.map((p) => p.objective);
    const bound = points.map((p) => p.bound);
    if (running && points.length) {
      t.push(points[points.length - 1].t + (performance.now() - lastAt) / 1000);
      objective.push(objective[objective.length - 1]);
      bound.push(bound[bound.length - 1]);
    }
    return [t, objective, bound];
  }

  function range(plot, low, high) {
    if (low === null || high === null || !isFinite(low) || !isFinite(high)) return [0, 1];
    const pad = (high - low || Math.abs(high) || 1) * 0.08;
    return [low - pad, high + pad];
  }

  function build() {
    if (plot) plot.destroy();
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { stroke: colour("--grid") }, font: `12px ${getComputedStyle(document.body).fontFamily}` };
    const steps = uPlot.paths.stepped({ align: 1 });
    plot = new uPlot(
      {
        width: plotBox.clientWidth || 600,
        height: plotBox.clientHeight || 300,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { x: { time: false, range: (_, low, high) => [0, Math.max(high || 0, 0.1)] }, y: { range } },
        axes: [
          { ...axis, values: (_, ticks) => ticks.map((v) => `${short.format(v)} s`), space: 70, size: 34 },
          { ...axis, size: 84, values: (_, ticks) => ticks.map((v) => short.format(v)) },
        ],
        series: [
          {},
          { label: "incumbent", stroke: colour("--incumbent"), width: 2.25, paths: steps, points: { show: points.length === 1 } },
          { label: "bound", stroke: colour("--bound"), width: 2, dash: [6, 4], paths: steps, points: { show: false } },
        ],
        hooks: { setCursor: [(u) => read(u.cursor.idx)] },
      },
      columns(),
      plotBox,
    );
  }

  // What the pointer is over, or the summary: the figure's text alternative.
  function read(index) {
    if (!points.length) {
      words.textContent = "No incumbent yet.";
      return;
    }
    if (index !== null && index !== undefined && index < points.length) {
      const p = points[index];
      words.textContent = `At ${clock(p.t)}: incumbent ${say(p.objective)}, bound ${say(p.bound)}.`;
      return;
    }
    const found = points.filter((p) => p.objective !== null);
    const last = points[points.length - 1];
    const steps = found.filter((p, i) => i === 0 || p.objective !== found[i - 1].objective).length;
    const first = found.length ? `${steps} ${steps === 1 ? "incumbent" : "incumbents"}, from ${say(found[0].objective)} to ${say(found[found.length - 1].objective)}` : "No incumbent";
    words.textContent = `${first}; bound ${say(last.bound)} after ${clock(last.t)}.`;
  }

  function draw() {
    wanted = false;
    if (!points.length) return;
    if (figure.hidden) {
      figure.hidden = false;
      build();
    }
    plot.setData(columns());
    figure.dataset.points = String(points.length);
    if (plot.cursor.idx === null || plot.cursor.idx === undefined) read(null);
  }

  function redraw() {
    if (wanted) return;
    wanted = true;
    requestAnimationFrame(draw);
  }

  new ResizeObserver(() => {
    if (plot && plotBox.clientWidth) plot.setSize({ width: plotBox.clientWidth, height: plotBox.clientHeight });
  }).observe(plotBox);
  dark.addEventListener("change", () => plot && build());
  setInterval(() => running && points.length && !document.hidden && redraw(), 500);

  return {
    add(point) {
      const previous = points[points.length - 1];
      const t = Math.max(point.elapsed_s, previous ? previous.t : 0);
      // A point may carry only what changed: the other line goes on.
      const objective = point.objective ?? (previous ? previous.objective : null);
      const bound = point.bound ?? (previous ? previous.bound : null);
      if (previous && previous.t === t) points[points.length - 1] = { t, objective, bound };
      else points.push({ t, objective, bound });
      lastAt = performance.now();
      redraw();
    },
    // A new attempt starts from nothing.
    reset() {
      points = [];
      if (plot) redraw();
    },
    running(value) {
      running = value;
      redraw();
    },
  };
};
