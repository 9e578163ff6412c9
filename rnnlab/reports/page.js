"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const printing = window.matchMedia("print");
  const charts = Array.from(document.querySelectorAll("[data-chart]"));

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Colours follow the page, which follows the reader's system.
  const themed = () => {
    const axis = { gridcolor: colour("--grid"), linecolor: colour("--line"), zerolinecolor: colour("--line"), ticks: "outside", tickcolor: colour("--line") };
    return {
      paper_bgcolor: colour("--paper"), plot_bgcolor: colour("--paper"),
      font: { color: colour("--ink"), family: "system-ui, sans-serif", size: 14 },
      hoverlabel: { bgcolor: colour("--head"), font: { color: colour("--ink") } },
      axis,
    };
  };

  const layout = (figure, width) => {
    const { axis, ...theme } = themed();
    const given = figure.layout;
    const below = width < 640;
    if (below) theme.font = { ...theme.font, size: 12 };
    return {
      ...theme, ...given,
      margin: { l: 70, r: 16, t: 12, b: 56 },
      hovermode: "closest", dragmode: "zoom", showlegend: true,
      legend: below ? { orientation: "h", yref: "container", y: 0, yanchor: "bottom" } : { x: 1.01, y: 1 },
      xaxis: { ...axis, ...given.xaxis }, yaxis: { ...axis, ...given.yaxis },
    };
  };

  const config = {
    responsive: true, displaylogo: false, displayModeBar: false, showTips: false, typesetMath: false,
    // Nothing is sent anywhere.
    showSendToCloud: false, showEditInChartStudio: false, plotlyServerURL: "",
  };

  const draw = (element) => {
    const figure = figures[element.dataset.chart];
    return Plotly.newPlot(element, figure.data, layout(figure, element.clientWidth), config);
  };

  const repaint = () => {
    const { axis, ...theme } = themed();
    const change = { ...theme };
    for (const [key, value] of Object.entries(axis)) {
      change["xaxis." + key] = value;
      change["yaxis." + key] = value;
    }
    charts.forEach((element) => Plotly.relayout(element, change));
  };

  document.querySelectorAll("[data-log]").forEach((button) => {
    const element = document.getElementById("chart-" + button.dataset.log);
    const show = (logarithmic) => button.setAttribute("aria-pressed", String(logarithmic));
    show(figures[button.dataset.log].layout.yaxis.type === "log");
    button.addEventListener("click", () => {
      const logarithmic = button.getAttribute("aria-pressed") !== "true";
      Plotly.relayout(element, { "yaxis.type": logarithmic ? "log" : "linear", "yaxis.autorange": true, "yaxis.dtick": null });
      show(logarithmic);
    });
  });

  // On paper nothing can be unfolded.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("figure details:not([open])"));
    opened.forEach((one) => { one.open = true; });
  });
  window.addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));

  dark.addEventListener("change", repaint);
  printing.addEventListener("change", repaint);
  Promise.all(charts.map(draw)).then(() => { document.documentElement.dataset.drawn = "yes"; });
})();
