// How an adapter speaks with the tests: a question a line on stdin, its answer a line on stdout, both JSON.
"use strict";

const readline = require("node:readline");

const weather = ({ city }) => `18 degrees in ${city}`;

/** Answers for `client`, an object with a function for each thing to `do`, until stdin ends. */
async function speak(client, failure) {
  const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
  // Libraries that print shall not print into the answers.
  for (const word of ["log", "info", "debug"]) console[word] = console.error;
  process.stdout.write("ready\n");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const ask = JSON.parse(line);
    try {
      answer(await client[ask.do](ask));
    } catch (error) {
      answer({ error: failure(error) });
    }
  }
}

module.exports = { speak, weather };
