"use strict";
// Draws the figures of the page, described as in rnnlab/core/figure.py, as SVG; colours and sizes of text are in page.css.
(() => {
  const { colours, dashes, shades, figures } = JSON.parse(document.getElementById("figures").textContent);
  const MARGIN = { left: 66, right: 14, top: 12, bottom: 48 };
  const APART = 6; // pixels between lines with bars
  const NEAR = 30; // pixels around the pointer in which a point is found
  const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  const MARKERS = [
    "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0", "M-3.5,-3.5h7v7h-7z", "M0,-5l5,5l-5,5l-5,-5z", "M0,-4.5l4.5,8h-9z",
    "M-4,-4l8,8m0,-8l-8,8", "M0,4.5l4.5,-8h-9z",
  ];

  const make = (parent, name, attributes = {}, text = null) => {
    const isHtml = ["div", "button", "span"].includes(name);
    const element = isHtml ? document.createElement(name) : document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== null) element.textContent = text;
    parent.append(element);
    return element;
  };
  const colour = (number) => (typeof number === "string" ? number : number < 0 ? "var(--quiet)" : number % colours.length === 6 ? "var(--ink)" : colours[number % colours.length]);
  const dash = (number) => dashes[(number ?? 0) % dashes.length];
  const isKnown = (value, log) => value !== null && Number.isFinite(value) && (!log || value > 0);

  const written = (value, axis, wide = 1e6) => {
    if (axis.percent) return `${Math.round(100 * value)} %`;
    const size = Math.abs(value);
    if (value === 0 || (size >= 1e-3 && size < wide)) return value.toLocaleString("en", { maximumSignificantDigits: 4 });
    const [digits, exponent] = value.toExponential(size >= 1e-300 ? 1 : 0).replace("+", "").replace(".0", "").split("e");
    return `${digits === "1" ? "" : `${digits} · `}10${Array.from(exponent, (letter) => SUPERSCRIPTS[letter]).join("")}`;
  };

  const ticksOf = (axis, [low, high], log) => {
    if (axis.ticks.length) return axis.ticks.map((value, place) => [value, axis.tick_labels[place] ?? written(value, axis)]);
    const values = [];
    if (log && high / low >= 10) {
      const decades = Math.log10(high / low);
      const every = Math.ceil(decades / 8);
      for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high); power++) {
        if (power % every === 0) values.push(Number(`1e${power}`));
        if (decades < 2.5) [2, 5].forEach((digit) => values.push(Number(`${digit}e${power}`)));
      }
    } else {
      const rough = (high - low) / 6;
      const unit = 10 ** Math.floor(Math.log10(rough));
      const step = unit * [1, 2, 5, 10].find((factor) => factor * unit >= rough);
      for (let n = Math.ceil(low / step); n * step <= high; n++) values.push(Number((n * step).toPrecision(12)));
    }
    return values.filter((value) => value >= low && value <= high).map((value) => [value, written(value, axis, log ? 1e4 : 1e6)]);
  };

  const rangeOf = (values, axis, log) => {
    if (axis.limits && (!log || axis.limits[0] > 0)) return axis.limits;
    const known = values.filter((value) => isKnown(value, log));
    if (!known.length) return log ? [0.1, 1] : [0, 1];
    const forth = log ? Math.log10 : Number;
    const back = log ? (value) => 10 ** value : Number;
    // A loop, because functions take no hundred thousand arguments.
    let [low, high] = [Infinity, -Infinity];
    for (const value of known) [low, high] = [Math.min(low, forth(value)), Math.max(high, forth(value))];
    const edge = 0.04 * (high - low) || 0.5;
    return [back(low - edge), back(high + edge)];
  };

  class Plot {
    constructor(element, panel) {
      Object.assign(this, { element, panel, zoom: null, yLog: panel.y.log });
      this.shown = panel.lines.map((line) => line.shown);
      this.canvas = make(element, "div", { class: "canvas" });
      this.tip = make(element, "div", { class: "tip", hidden: "" });
      this.legend();
      this.events();
      new ResizeObserver(() => this.draw()).observe(this.canvas);
      this.draw();
    }

    legend() {
      const legend = make(this.element, "div", { class: "legend" });
      this.panel.lines.forEach((line, place) => {
        if (!line.name) return;
        const button = make(legend, "button", { type: "button", "aria-pressed": this.shown[place] });
        const sample = make(button, "svg", { viewBox: "-14 -6 28 12", width: 28, height: 12, "aria-hidden": "true" });
        this.stroke(sample, line, line.dash === null ? "" : "M-14,0h28");
        if (line.marker !== null) this.mark(sample, line, 0, 0);
        make(button, "span", {}, line.name);
        button.addEventListener("click", () => {
          this.shown[place] = !this.shown[place];
          button.setAttribute("aria-pressed", this.shown[place]);
          this.draw();
        });
      });
      if (this.panel.note) make(legend, "span", { class: "note" }, this.panel.note);
      if (this.panel.scale) this.colourScale(legend, this.panel.scale);
      if (!this.panel.lines.every((line) => line.fill === null && line.y.every((value) => value === null || value > 0))) return;
      const button = make(legend, "button", { type: "button", class: "log", "aria-pressed": this.yLog }, "logarithmic scale");
      button.addEventListener("click", () => {
        [this.yLog, this.zoom] = [!this.yLog, null];
        button.setAttribute("aria-pressed", this.yLog);
        this.draw();
      });
    }

    // What the colours of lines mean that are values of one quantity.
    colourScale(legend, scale) {
      const note = make(legend, "span", { class: "note scale" }, `${scale.label}: ${written(scale.low, {})} `);
      const sample = make(note, "svg", { viewBox: `0 0 ${8 * shades.length} 8`, width: 8 * shades.length, height: 8, "aria-hidden": "true" });
      shades.forEach((fill, place) => make(sample, "rect", { x: 8 * place, y: 0, width: 8, height: 8, fill }));
      make(note, "span", {}, ` ${written(scale.high, {})}${scale.log ? " (logarithmic)" : ""}`);
    }

    stroke(parent, line, d, more = {}) {
      const width = line.name || line.label ? 2 : 0.8;
      return make(parent, "path", { d, fill: "none", stroke: colour(line.colour), "stroke-width": width, "stroke-dasharray": dash(line.dash), ...more });
    }

    mark(parent, line, x, y) {
      const filled = line.marker % 2 ? "none" : colour(line.colour);
      const look = { d: MARKERS[line.marker % MARKERS.length], fill: filled, stroke: colour(line.colour), "stroke-width": 1.5 };
      make(parent, "path", { ...look, transform: `translate(${x.toFixed(1)},${y.toFixed(1)})` });
    }

    // Sets the ends of both axes, and the functions from values to pixels.
    scale(width, height) {
      const { panel, zoom } = this;
      const lines = panel.lines.filter((_, place) => this.shown[place]);
      const levels = (axis) => panel.levels.filter((level) => level.axis === axis).map((level) => level.value);
      const xs = [lines.map((line) => line.x), levels("x")].flat(2);
      const ys = [lines.map((line) => [line.y, line.low ?? [], line.high ?? []]), levels("y")].flat(3);
      this.xRange = zoom?.x ?? rangeOf(xs, panel.x, panel.x.log);
      this.yRange = zoom?.y ?? rangeOf(ys, panel.y, this.yLog);
      const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
      if (panel.is_square && !zoom) {
        const unit = Math.max((this.xRange[1] - this.xRange[0]) / inner.width, (this.yRange[1] - this.yRange[0]) / inner.height);
        const around = ([low, high], size) => [(low + high - unit * size) / 2, (low + high + unit * size) / 2];
        [this.xRange, this.yRange] = [around(this.xRange, inner.width), around(this.yRange, inner.height)];
      }
      const along = ([low, high], log, start, size) => {
        const forth = log ? Math.log10 : Number;
        const to = (value) => start + (size * (forth(value) - forth(low))) / (forth(high) - forth(low));
        const from = (pixel) => forth(low) + ((pixel - start) / size) * (forth(high) - forth(low));
        return [to, (pixel) => (log ? 10 ** from(pixel) : from(pixel))];
      };
      [this.toX, this.fromX] = along(this.xRange, panel.x.log, MARGIN.left, inner.width);
      [this.toY, this.fromY] = along(this.yRange, this.yLog, height - MARGIN.bottom, -inner.height);
      return inner;
    }

    draw() {
      const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
      if (!width) return;
      const { panel } = this;
      const inner = this.scale(width, height);
      const svg = make(document.createElement("div"), "svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
      const id = `clip-${this.element.id}`;
      const box = { x: MARGIN.left, y: MARGIN.top, width: inner.width, height: inner.height };
      make(make(svg, "clipPath", { id }), "rect", box);
      const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
      for (const [value, label] of ticksOf(panel.x, this.xRange, panel.x.log)) {
        const x = this.toX(value);
        if (x < MARGIN.left - 1 || x > right + 1) continue;
        make(svg, "path", { class: "grid", d: `M${x},${MARGIN.top}V${bottom}` });
        make(svg, "text", { x, y: bottom + 18, "text-anchor": "middle" }, label);
      }
      for (const [value, label] of ticksOf(panel.y, this.yRange, this.yLog)) {
        const y = this.toY(value);
        make(svg, "path", { class: "grid", d: `M${MARGIN.left},${y}H${right}` });
        make(svg, "text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, label);
      }
      make(svg, "text", { class: "label", x: (MARGIN.left + right) / 2, y: height - 8, "text-anchor": "middle" }, panel.x.label);
      const turned = `translate(14,${(MARGIN.top + bottom) / 2}) rotate(-90)`;
      make(svg, "text", { class: "label", transform: turned, "text-anchor": "middle" }, panel.y.label);
      const inside = make(svg, "g", { "clip-path": `url(#${id})` });
      this.points = [];
      panel.lines.forEach((line, place) => this.shown[place] && this.drawLine(make(inside, "g", { class: "line" }), line));
      panel.levels.forEach((level, place) => this.drawLevel(inside, level, place, right, bottom));
      this.canvas.replaceChildren(svg);
    }

    drawLine(group, line) {
      // Lines with bars are drawn side by side, so that equal values can be distinguished.
      const barred = this.panel.lines.filter((one, at) => one.bars && this.shown[at]);
      const aside = line.bars ? APART * (barred.indexOf(line) - (barred.length - 1) / 2) : 0;
      const point = (x, y) => (isKnown(x, this.panel.x.log) && isKnown(y, this.yLog) ? [this.toX(x) + aside, this.toY(y)] : null);
      const places = line.x.map((x, at) => point(x, line.y[at]));
      const path = (points) => points.map((p, at) => (p ? `${at && points[at - 1] ? "L" : "M"}${p[0].toFixed(1)},${p[1].toFixed(1)}` : "")).join("");
      if (line.low && line.bars) {
        line.x.forEach((x, at) => {
          const [low, high] = [point(x, line.low[at]), point(x, line.high[at])];
          if (low && high) this.stroke(group, { ...line, dash: 0 }, `M${low}L${high}`, { "stroke-width": 1 });
        });
      } else if (line.low) {
        const ends = [line.low, [...line.high]].map((values) => line.x.map((x, at) => point(x, values[at])).filter(Boolean));
        const outline = path([...ends[0], ...ends[1].reverse()]);
        if (outline) make(group, "path", { d: `${outline}Z`, fill: colour(line.colour), "fill-opacity": 0.16 });
      }
      if (line.fill !== null) {
        const drawn = places.filter(Boolean);
        const base = line.x.map((x) => point(x, line.fill)).filter(Boolean).reverse();
        if (drawn.length && base.length) make(group, "path", { d: `${path([...drawn, ...base])}Z`, fill: colour(line.colour), "fill-opacity": 0.3 });
      }
      if (line.dash !== null) this.stroke(group, line, path(places));
      places.forEach((place, at) => {
        if (!place) return;
        if (line.marker !== null) this.mark(group, line, ...place);
        if (line.name) this.points.push({ place, text: `${line.name}\n${this.panel.x.label.split(":")[0]} ${written(line.x[at], { })}: ${written(line.y[at], this.panel.y)}` });
      });
    }

    drawLevel(group, level, place, right, bottom) {
      if (!isKnown(level.value, level.axis === "x" ? this.panel.x.log : this.yLog)) return;
      if (level.axis === "x") {
        const x = this.toX(level.value);
        this.stroke(group, level, `M${x},${MARGIN.top}V${bottom}`, { "stroke-width": 1.3 });
        make(group, "text", { class: "level", transform: `translate(${x + 14},${bottom - 4}) rotate(-90)`, "text-anchor": "start" }, level.label);
      } else {
        const y = this.toY(level.value);
        this.stroke(group, level, `M${MARGIN.left},${y}H${right}`, { "stroke-width": 1.3 });
        const at = place % 2 ? { x: MARGIN.left + 5, "text-anchor": "start" } : { x: right - 5, "text-anchor": "end" };
        make(group, "text", { class: "level", y: y < MARGIN.top + 16 ? y + 14 : y - 5, ...at }, level.label);
      }
    }

    // A pointer over a point shows its values; a drag zooms in, a double click out.
    events() {
      let start = null;
      const at = (event) => {
        const box = this.canvas.getBoundingClientRect();
        return [event.clientX - box.left, event.clientY - box.top];
      };
      this.canvas.addEventListener("pointerdown", (event) => { start = at(event); });
      this.canvas.addEventListener("pointermove", (event) => {
        const here = at(event);
        this.canvas.querySelector(".chosen")?.remove();
        if (start && event.buttons) {
          const [x, y] = [0, 1].map((axis) => Math.min(start[axis], here[axis]));
          const box = { x, y, width: Math.abs(here[0] - start[0]), height: Math.abs(here[1] - start[1]) };
          make(this.canvas.firstChild, "rect", { class: "chosen", ...box });
        }
        const far = (one) => Math.hypot(one.place[0] - here[0], one.place[1] - here[1]);
        const nearest = this.points.reduce((best, one) => (!best || far(one) < far(best) ? one : best), null);
        this.tip.hidden = !nearest || far(nearest) > NEAR;
        if (this.tip.hidden) return;
        this.tip.textContent = nearest.text;
        const left = Math.min(nearest.place[0] + 12, this.canvas.clientWidth - this.tip.offsetWidth);
        Object.assign(this.tip.style, { left: `${Math.max(left, 0)}px`, top: `${nearest.place[1] + 12}px` });
      });
      this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
      this.canvas.addEventListener("pointerup", (event) => {
        const [from, to] = [start, at(event)];
        start = null;
        if (!from || Math.abs(to[0] - from[0]) < 8 || Math.abs(to[1] - from[1]) < 8) return this.draw();
        const between = (axis, back) => [from[axis], to[axis]].map(back).sort((a, b) => a - b);
        this.zoom = { x: between(0, this.fromX), y: between(1, this.fromY) };
        this.draw();
      });
      this.canvas.addEventListener("dblclick", () => { this.zoom = null; this.draw(); });
    }
  }

  document.querySelectorAll("[data-figure]").forEach((element) => {
    new Plot(element, figures[element.dataset.figure].panels[element.dataset.panel]);
  });

  // On paper nothing can be unfolded.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("figure details:not([open])"));
    opened.forEach((one) => { one.open = true; });
  });
  window.addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
  document.documentElement.dataset.drawn = "yes";
})();
