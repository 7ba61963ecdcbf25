// The incumbent and bound over time: two step lines drawn by uPlot on a canvas, with a caption.
"use strict";
window.trimtabCurve = (figure) => {
  const plotBox = figure.querySelector(".plot");
  const caption = figure.querySelector("figcaption");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let points = []; // {t, objective, bound}, t ascending
  let running = false;
  let lastAt = 0; // performance.now() at the newest point, to extend the lines to the present
  let plot = null;
  let scheduled = false;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const grouped = new Intl.NumberFormat("en", { maximumSignificantDigits: Number(figure.dataset.digits) || 9 });
  const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
  const format = (value) => (value === null || value === undefined ? "–" : grouped.format(value));
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

  // The point under the pointer, or a summary: the text alternative of the figure.
  function read(index) {
    if (!points.length) {
      caption.textContent = "No incumbent yet.";
      return;
    }
    if (index !== null && index !== undefined && index < points.length) {
      const p = points[index];
      const bound = p.bound === null ? "" : `, bound ${format(p.bound)}`;
      caption.textContent = `At ${clock(p.t)}: incumbent ${format(p.objective)}${bound}.`;
      return;
    }
    const last = points[points.length - 1];
    const bound = last.bound === null ? "" : `; bound ${format(last.bound)}`;
    caption.textContent = `${incumbents()}${bound} after ${clock(last.t)}.`;
  }

  function incumbents() {
    const values = points.map((p) => p.objective).filter((value) => value !== null);
    if (!values.length) return "No incumbent";
    const count = values.filter((value, i) => i === 0 || value !== values[i - 1]).length;
    const range = `from ${format(values[0])} to ${format(values[values.length - 1])}`;
    return `${count} ${count === 1 ? "incumbent" : "incumbents"}, ${range}`;
  }

  function draw() {
    scheduled = false;
    if (!points.length) return;
    if (figure.hidden) {
      figure.hidden = false;
      build();
    }
    figure.querySelector(".key-bound").hidden = points.every((p) => p.bound === null);
    plot.setData(columns());
    figure.dataset.points = String(points.length);
    if (plot.cursor.idx === null || plot.cursor.idx === undefined) read(null);
  }

  function redraw() {
    if (scheduled) return;
    scheduled = true;
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
      // A point may hold only the value that changed: the other line continues.
      const objective = point.objective ?? (previous ? previous.objective : null);
      const bound = point.bound ?? (previous ? previous.bound : null);
      if (previous && previous.t === t) points[points.length - 1] = { t, objective, bound };
      else points.push({ t, objective, bound });
      lastAt = performance.now();
      redraw();
    },
    // A new attempt has no points yet.
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
