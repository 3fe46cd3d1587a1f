// Reads graphs of Mermaid, an array of texts in a file of JSON; writes for each what it
// looks like: `{nodes, boxes, classes, edges}` with their texts, classes and number, or `{error}`.
const fs = require("fs");
const vm = require("vm");
const cache = process.argv[2];
const { JSDOM } = require(cache + "/node_modules/jsdom");

const dom = new JSDOM("<body></body>", { pretendToBeVisual: true, runScripts: "outside-only" });
const { window } = dom;
// There is no layout here, so that lines end in the middle of nothing.
window.SVGElement.prototype.getBBox = () => ({ x: 0, y: 0, width: 80, height: 20 });
window.SVGElement.prototype.getComputedTextLength = () => 80;
window.btoa = (text) => Buffer.from(text).toString("base64");
window.structuredClone = structuredClone;
const code = fs.readFileSync(cache + "/package/dist/mermaid.min.js", "utf8");
new vm.Script(code).runInContext(dom.getInternalVMContext());

async function drawn(graph, number) {
  try {
    await window.mermaid.parse(graph);
    const { svg } = await window.mermaid.render("graph" + number, graph);
    const drawing = new window.DOMParser().parseFromString(svg, "text/html");
    const texts = (what) => [...drawing.querySelectorAll(what)].map((one) => one.textContent.trim());
    return {
      nodes: texts("g.node"),
      boxes: texts("g.cluster"),
      classes: [...drawing.querySelectorAll("g.node, g.cluster")].map((one) => ({
        text: one.textContent.trim(),
        class: one.getAttribute("class"),
      })),
      edges: drawing.querySelectorAll("path.flowchart-link").length,
    };
  } catch (error) {
    return { error: String((error && error.message) || error) };
  }
}

async function main() {
  const graphs = JSON.parse(fs.readFileSync(process.argv[3], "utf8"));
  window.mermaid.initialize({ startOnLoad: false, securityLevel: "strict" });
  const all = [];
  for (const [number, graph] of graphs.entries()) all.push(await drawn(graph, number));
  fs.writeSync(1, JSON.stringify(all));
  process.exit(0);
}

main();
