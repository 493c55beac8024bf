// The official SDK for Go, spoken to by the tests: a question a line on stdin, its answer a line on stdout, both JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

const questionBytesMax = 1 << 20

// A question of the tests.
type question struct {
	Do      string `json:"do"`
	BaseURL string `json:"base_url"`
	APIKey  string `json:"api_key"`
	Model   string `json:"model"`
	Prompt  string `json:"prompt"`
	Picture string `json:"picture"`
	N       int64  `json:"n"`
	Usage   bool   `json:"usage"`
	Stream  bool   `json:"stream"`
}

// What came of it; only the fields that belong to it are set.
type answer struct {
	Text   string   `json:"text"`
	Pieces []string `json:"pieces"`
	Finish string   `json:"finish"`
	Usage  *counts  `json:"usage"`
	Calls  []call   `json:"calls"`
	Images []string `json:"images"`
	Error  *failure `json:"error,omitempty"`
}

type counts struct {
	Input  int64 `json:"input"`
	Output int64 `json:"output"`
}

type call struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

type failure struct {
	Type    string `json:"type"`
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

var does = map[string]func(question, openai.Client) (answer, error){
	"text": func(ask question, client openai.Client) (answer, error) {
		return said(ask, client, openai.UserMessage(ask.Prompt))
	},
	"look": func(ask question, client openai.Client) (answer, error) {
		picture := openai.ChatCompletionContentPartImageImageURLParam{URL: ask.Picture}
		return said(ask, client, openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
			openai.TextContentPart(ask.Prompt), openai.ImageContentPart(picture),
		}))
	},
	"stream": stream,
	"tools":  tools,
	"image":  image,
}

func main() {
	out := json.NewEncoder(os.Stdout)
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, questionBytesMax)
	for lines.Scan() {
		var ask question
		if err := json.Unmarshal(lines.Bytes(), &ask); err != nil {
			panic(err)
		}
		client := openai.NewClient(option.WithBaseURL(ask.BaseURL), option.WithAPIKey(ask.APIKey))
		what, err := does[ask.Do](ask, client)
		if err != nil {
			what = answer{Error: seen(err)}
		}
		if err := out.Encode(what); err != nil {
			panic(err)
		}
	}
}

// What an application can see of an error.
func seen(err error) *failure {
	var refused *openai.Error
	if errors.As(err, &refused) {
		return &failure{fmt.Sprintf("%T", refused), refused.StatusCode, refused.Code, refused.Message}
	}
	return &failure{Type: fmt.Sprintf("%T", err), Message: err.Error()}
}

func params(ask question, messages ...openai.ChatCompletionMessageParamUnion) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: ask.Model, Messages: messages}
}

func of(usage openai.CompletionUsage) *counts {
	return &counts{usage.PromptTokens, usage.CompletionTokens}
}

func said(ask question, client openai.Client, message openai.ChatCompletionMessageParamUnion) (answer, error) {
	got, err := client.Chat.Completions.New(context.Background(), params(ask, message))
	if err != nil {
		return answer{}, err
	}
	choice := got.Choices[0]
	return answer{Text: choice.Message.Content, Finish: choice.FinishReason, Usage: of(got.Usage)}, nil
}

func stream(ask question, client openai.Client) (answer, error) {
	wish := params(ask, openai.UserMessage(ask.Prompt))
	if ask.Usage {
		wish.StreamOptions.IncludeUsage = openai.Bool(true)
	}
	var what answer
	chunks := client.Chat.Completions.NewStreaming(context.Background(), wish)
	defer chunks.Close()
	for chunks.Next() {
		chunk := chunks.Current()
		for _, choice := range chunk.Choices {
			if choice.Delta.Content != "" {
				what.Pieces = append(what.Pieces, choice.Delta.Content)
				what.Text += choice.Delta.Content
			}
			if choice.FinishReason != "" {
				what.Finish = choice.FinishReason
			}
		}
		if chunk.JSON.Usage.Valid() {
			what.Usage = of(chunk.Usage)
		}
	}
	return what, chunks.Err()
}

func tools(ask question, client openai.Client) (answer, error) {
	wish := params(ask, openai.UserMessage(ask.Prompt))
	wish.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
		Name:        "weather",
		Description: openai.String("The weather of a city."),
		Parameters: openai.FunctionParameters{
			"type":       "object",
			"properties": map[string]any{"city": map[string]any{"type": "string"}},
			"required":   []string{"city"},
		},
	})}
	var what answer
	calling, err := message(ask, client, wish)
	if err != nil {
		return what, err
	}
	wish.Messages = append(wish.Messages, calling.ToParam())
	for _, one := range calling.ToolCalls {
		var arguments struct{ City string }
		if err := json.Unmarshal([]byte(one.Function.Arguments), &arguments); err != nil {
			return what, err
		}
		what.Calls = append(what.Calls, call{one.Function.Name, json.RawMessage(one.Function.Arguments)})
		result := fmt.Sprintf("18 degrees in %s", arguments.City)
		wish.Messages = append(wish.Messages, openai.ToolMessage(result, one.ID))
	}
	last, err := message(ask, client, wish)
	what.Text = last.Content
	return what, err
}

// The first choice's message, put together from chunks if the question is about a stream.
func message(ask question, client openai.Client, wish openai.ChatCompletionNewParams) (openai.ChatCompletionMessage, error) {
	if !ask.Stream {
		got, err := client.Chat.Completions.New(context.Background(), wish)
		if err != nil {
			return openai.ChatCompletionMessage{}, err
		}
		return got.Choices[0].Message, nil
	}
	var whole openai.ChatCompletionAccumulator
	chunks := client.Chat.Completions.NewStreaming(context.Background(), wish)
	defer chunks.Close()
	for chunks.Next() {
		if !whole.AddChunk(chunks.Current()) {
			return openai.ChatCompletionMessage{}, errors.New("a chunk that does not fit the others")
		}
	}
	if err := chunks.Err(); err != nil {
		return openai.ChatCompletionMessage{}, err
	}
	return whole.Choices[0].Message, nil
}

func image(ask question, client openai.Client) (answer, error) {
	got, err := client.Images.Generate(context.Background(), openai.ImageGenerateParams{
		Model:          ask.Model,
		Prompt:         ask.Prompt,
		N:              openai.Int(ask.N),
		ResponseFormat: openai.ImageGenerateParamsResponseFormatB64JSON,
	})
	if err != nil {
		return answer{}, err
	}
	var what answer
	for _, one := range got.Data {
		what.Images = append(what.Images, one.B64JSON)
	}
	return what, nil
}
