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
  let view = null; // {min, max} while zoomed
  let at = null; // index that the keys chose

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
        cursor: { y: false, drag: { x: true, y: false, setScale: false } },
        scales: { x: { time: false, range: () => [0, end()] }, y: { range } },
        axes: [
          { ...axis, values: (_, ticks) => ticks.map((v) => `${short.format(v)} s`), space: 70, size: 34 },
          { ...axis, size: 84, values: (_, ticks) => ticks.map((v) => short.format(v)) },
        ],
        series: [
          {},
          { label: "incumbent", stroke: colour("--incumbent"), width: 2.25, paths: steps, points: { show: points.length === 1 } },
          { label: "bound", stroke: colour("--bound"), width: 2, dash: [6, 4], paths: steps, points: { show: false } },
        ],
        hooks: {
          setCursor: [(u) => read(u.cursor.idx)],
          setSelect: [(u) => {
            const { left, width } = u.select;
            if (width > 4) show(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
            u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          }],
        },
      },
      columns(),
      plotBox,
    );
    plot.over.addEventListener("dblclick", () => show(0, end()));
    if (view) plot.setScale("x", view);
  }

  const end = () => Math.max(columns()[0].at(-1) || 0, 0.1);

  function show(min, max) {
    view = max - min >= end() ? null : { min: Math.max(0, min), max: Math.min(end(), max) };
    plot.setScale("x", view ?? { min: 0, max: end() });
  }

  function zoom(factor) {
    const { min, max } = view ?? { min: 0, max: end() };
    const middle = at === null ? (min + max) / 2 : points[at].t;
    const half = ((max - min) / 2) * factor;
    show(middle - half, middle + half);
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
    plot.batch(() => {
      plot.setData(columns());
      if (view) plot.setScale("x", view);
    });
    figure.dataset.points = String(points.length);
    if (at !== null) read(at);
    else if (plot.cursor.idx === null || plot.cursor.idx === undefined) read(null);
  }

  function redraw() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(draw);
  }

  window.trimtabCurveKeys(figure, plotBox, {
    zoom,
    whole: () => show(0, end()),
    step(by) {
      at = Math.max(0, Math.min(points.length - 1, (at ?? (by > 0 ? -1 : points.length)) + by));
      plot.setCursor({ left: plot.valToPos(points[at].t, "x"), top: 0 });
      read(at);
    },
    leave() {
      at = null;
      read(null);
    },
  });

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
      view = at = null;
      if (plot) redraw();
    },
    running(value) {
      running = value;
      redraw();
    },
  };
};
