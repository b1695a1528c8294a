package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"catalog/eventlog"
)

const (
	// maxSentBytes is the largest batch of records that a client sends. A record with
	// the largest product has about 865 kB, so each fits.
	maxSentBytes = 1_000_012

	// maxMessageBytes is what a topic is set to accept: the default of Kafka, which
	// brokers may have changed. It is above maxSentBytes.
	maxMessageBytes       = 1_048_588
	maxMessageBytesConfig = "max.message.bytes"

	// Brokers set the times of records. With the times of clients, a wrong clock would
	// make brokers refuse events, or delete commands that are not read yet.
	timestampTypeConfig = "message.timestamp.type"
	timestampType       = "LogAppendTime"
)

// topicSettings are the settings of all topics that do not depend on the topic.
var topicSettings = map[string]*string{
	maxMessageBytesConfig: kadm.StringPtr(strconv.Itoa(maxMessageBytes)),
	timestampTypeConfig:   kadm.StringPtr(timestampType),
}

// wrongSettings returns the wrong settings of a topic.
func wrongSettings(topic kadm.ResourceConfig) (wrong []eventlog.TopicSetting) {
	for _, c := range topic.Configs {
		want, value := topicSettings[c.Key], c.MaybeValue()
		if want == nil || value == *want {
			continue
		}
		if n, err := strconv.Atoi(value); c.Key == maxMessageBytesConfig && (err != nil || n >= maxSentBytes) {
			continue
		}
		wrong = append(wrong, eventlog.TopicSetting{Topic: topic.Name, Name: c.Key, Value: value, Want: *want})
	}
	return wrong
}

// WrongSettings returns the settings of the topics with which they can refuse or lose
// records.
func (l *Log) WrongSettings(ctx context.Context) ([]eventlog.TopicSetting, error) {
	configs, err := l.admin.DescribeTopicConfigs(ctx, l.topic("commands"), l.topic("events"), l.topic("dead-letters"))
	if err != nil {
		return nil, fmt.Errorf("read the settings of the topics: %w", err)
	}
	var wrong []eventlog.TopicSetting
	for _, c := range configs {
		if c.Err != nil {
			return nil, fmt.Errorf("read the settings of topic %s: %w", c.Name, c.Err)
		}
		wrong = append(wrong, wrongSettings(c)...)
	}
	return wrong, nil
}

// SetTopics corrects wrong settings of the topics, and returns when the brokers use the new ones:
// the controller responds before they do.
func (l *Log) SetTopics(ctx context.Context, wrong []eventlog.TopicSetting) error {
	for _, s := range wrong {
		r, err := l.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: s.Name, Value: kadm.StringPtr(s.Want)}}, s.Topic)
		if err == nil && len(r) > 0 {
			err = r[0].Err
		}
		if err != nil {
			return fmt.Errorf("set %s of topic %s to %s: %w; set it with the tools of the cluster", s.Name, s.Topic, s.Want, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	for try := 0; ; try++ {
		err := l.checkBrokersUse(ctx, wrong)
		if !errors.Is(err, errOldSetting) || !sleep(ctx, backoff(try)) {
			return err
		}
	}
}

// errOldSetting is the error of a broker that has not read a setting yet.
var errOldSetting = errors.New("the broker still uses the old setting; look at its log")

// checkBrokersUse returns an error that wraps errOldSetting unless every broker that
// responds has the settings.
func (l *Log) checkBrokersUse(ctx context.Context, settings []eventlog.TopicSetting) error {
	for _, s := range settings {
		request := kmsg.NewPtrDescribeConfigsRequest()
		topic := kmsg.NewDescribeConfigsRequestResource()
		topic.ResourceType, topic.ResourceName, topic.ConfigNames = kmsg.ConfigResourceTypeTopic, s.Topic, []string{s.Name}
		request.Resources = append(request.Resources, topic)
		err := l.askBrokers(ctx, request, func(broker int32, r kmsg.Response) error {
			for _, topic := range r.(*kmsg.DescribeConfigsResponse).Resources {
				for _, c := range topic.Configs {
					if c.Value != nil && *c.Value != s.Want {
						return fmt.Errorf("set %s of topic %s to %s at broker %d: %w", s.Name, s.Topic, s.Want, broker, errOldSetting)
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkSettings logs wrong settings, and keeps those with which brokers refuse events
// for [Log.Ping].
func (l *Log) checkSettings(ctx context.Context) {
	wrong, err := l.WrongSettings(ctx)
	if err != nil {
		l.logger.WarnContext(ctx, "settings of the topics not checked", "err", err)
		return
	}
	for _, s := range wrong {
		if s.Name == maxMessageBytesConfig {
			l.logger.ErrorContext(ctx, "brokers refuse large records; run catalog repair", "topic", s.Topic, "setting", s.Name, "value", s.Value, "want", s.Want)
		} else {
			l.logger.WarnContext(ctx, "topic setting is wrong; run catalog migrate or catalog repair", "topic", s.Topic, "setting", s.Name, "value", s.Value, "want", s.Want)
		}
	}
	l.refuses.Store(refusesLarge(wrong))
}

func refusesLarge(wrong []eventlog.TopicSetting) bool {
	for _, s := range wrong {
		if s.Name == maxMessageBytesConfig {
			return true
		}
	}
	return false
}

// settingsError returns an error while a topic refuses large records.
func (l *Log) settingsError(ctx context.Context) error {
	if !l.refuses.Load() {
		return nil
	}
	wrong, err := l.WrongSettings(ctx)
	if err != nil {
		return err
	}
	if l.refuses.Store(refusesLarge(wrong)); !l.refuses.Load() {
		return nil
	}
	text := make([]string, len(wrong))
	for i, s := range wrong {
		text[i] = s.String()
	}
	return fmt.Errorf("brokers refuse large records: %s; run catalog repair", strings.Join(text, ", "))
}
