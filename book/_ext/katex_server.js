// One line of JSON in, {tex, display}, one line of JSON out, {html} or {error}, until stdin closes.
const readline = require("node:readline");
const [katexPath, macros] = [process.argv[2], JSON.parse(process.argv[3])];
const katex = require(katexPath);

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { tex, display } = JSON.parse(line);
  let reply;
  try {
    const options = { displayMode: display, output: "htmlAndMathml", throwOnError: true, strict: "error" };
    // A copy for each formula, so that a \def in one does not leak into the next.
    reply = { html: katex.renderToString(tex, { ...options, macros: { ...macros } }) };
  } catch (error) {
    reply = { error: error.message };
  }
  process.stdout.write(JSON.stringify(reply) + "\n");
});
