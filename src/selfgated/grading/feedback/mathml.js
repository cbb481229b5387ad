// One line of JSON in, {tex, display}, one line of JSON out, {html} or {error}, until stdin closes.
const readline = require("node:readline");
const [katexPath, maxLength] = [process.argv[2], Number(process.argv[3])];
const katex = require(katexPath);
// Formulas of strangers: no links or classes (trust), few macro expansions, no rule larger than a line.
const limits = { trust: false, maxExpand: 200, maxSize: 10, strict: "ignore" };

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { tex, display } = JSON.parse(line);
  let reply;
  try {
    const options = { displayMode: display, output: "mathml", throwOnError: true, ...limits };
    const html = katex.renderToString(tex, { ...options, macros: {} });
    reply = html.length > maxLength ? { error: "too large" } : { html };
  } catch (error) {
    reply = { error: String(error.message) };
  }
  process.stdout.write(JSON.stringify(reply) + "\n");
});
